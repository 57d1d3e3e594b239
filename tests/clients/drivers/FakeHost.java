import PACKAGE.testing.FakeServer;
import PACKAGE.testing.RecordedCall;

/** Keeps a fake server until its input ends, and says then what it was asked. */
public final class FakeHost {
  private FakeHost() {}

  public static void main(String[] arguments) throws Exception {
    try (FakeServer server = FakeServer.start(7L)) {
      System.out.println(server.url());
      System.in.read();
      for (RecordedCall call : server.calls()) {
        String credentials = call.header("Authorization").orElse("none");
        System.out.println(call.method() + " " + call.path() + " " + call.status() + " " + credentials);
      }
    }
  }
}
