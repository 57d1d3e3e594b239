import PACKAGE.Client;
import PACKAGE.DeadlineExceeded;
import PACKAGE.model.Observation;
import PACKAGE.model.Prediction;
import PACKAGE.testing.FakeServer;
import java.io.File;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/** What a test may want of a fake server. */
public final class FakeUse {
  private FakeUse() {}

  public static void main(String[] arguments) throws Exception {
    try (FakeServer server = FakeServer.start(7L);
        FakeServer same = FakeServer.start(7L);
        Client client = Client.builder(server.url()).credentials(Client.Credentials.key(FakeServer.KEY)).build();
        Client other = Client.builder(same.url()).credentials(same.credentials()).build()) {
      Observation observation = client.json().readValue(new File("example.json"), Observation.class);
      boolean isSame = true;
      for (int call = 0; call < 20; call++) {
        isSame &= client.predict(observation).equals(other.predict(observation));
      }
      System.out.println("the same decisions: " + isSame);

      Prediction wanted = new Prediction().action(3L).meaning("move up").probability(0.5);
      server.answerNext(wanted);
      List<Prediction> many = client.predictBatch(Arrays.asList(observation, observation));
      System.out.println("in a batch: " + many.get(0).getMeaning() + ", then " + many.get(1).getProbability());
      server.answerNext(wanted);
      System.out.println("in an episode: " + client.episode().decide(observation).getMeaning());
      try {
        server.answerNext(new Prediction().action(-1L).meaning("none"));
      } catch (IllegalArgumentException wrong) {
        System.out.println(wrong.getMessage());
      }

      server.reset();
      server.delayNext(Duration.ofMinutes(9));
      try {
        client.withTimeout(Duration.ofMillis(300)).predict(observation, 5L);
      } catch (DeadlineExceeded late) {
        System.out.println("late");
      }
      client.withHeader("X-Line", "5").predict(observation, 6L);
      System.out.println(server.calls().get(0).body(Observation.class).equals(observation)
          + " " + server.calls().get(0).query("seed").orElse("none")
          + " " + server.calls().get(0).header("x-line").orElse("none")
          + " " + server.calls().get(0).header("X-API-Key").orElse("none"));
    }
  }
}
