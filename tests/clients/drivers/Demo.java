import PACKAGE.Client;
import PACKAGE.model.Observation;
import PACKAGE.model.Prediction;
import java.io.File;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** What a simulator does that was given the one file: it compiles with nothing else, for Java 8. */
public class Demo {
  public static void main(String[] arguments) throws Exception {
    Client.Credentials credentials = Client.Credentials.basic(arguments[1], arguments[2]);
    try (Client client = Client.builder(arguments[0]).credentials(credentials)
        .maxConnections(2).logger(System.out::println).build()) {
      Observation observation = client.json().readValue(new File("example.json"), Observation.class);
      System.out.println("drawn " + client.predict(observation, 1L).getMeaning());
      System.out.println("later " + client.async().predict(observation, 1L).get().getMeaning());
      Prediction likely = client.predictDeterministic(observation);
      Prediction again = client.predictions().predictDeterministic(observation, null);
      System.out.println("likely " + likely.getMeaning() + " " + likely.equals(again));
      List<Prediction> many = client.predictBatch(Arrays.asList(observation, observation));
      System.out.println("many " + many.size() + " by " + many.get(1).getPolicyVersion());
      try {
        client.predict(observation.id(-1));
      } catch (PACKAGE.Refused refused) {
        System.out.println("refused " + refused.problem().get().getErrors().get(0).getPointer());
      }
    }
    try (Client slow = Client.builder(arguments[3]).credentials(credentials).build()) {
      Observation observation = slow.json().readValue(new File("example.json"), Observation.class);
      CompletableFuture<Prediction> asked = slow.withHeader("X-Site", "5").async().predict(observation);
      System.in.read();
      asked.cancel(true);
      System.out.println("cancelled " + asked.isCancelled());
      System.in.read();
      CompletableFuture<Prediction> late = slow.withTimeout(java.time.Duration.ofMillis(500)).async().predict(observation);
      try {
        late.get();
      } catch (ExecutionException failed) {
        System.out.println("late " + failed.getCause().getClass().getSimpleName());
      }
      slow.close();
      try {
        slow.predict(observation);
      } catch (PACKAGE.Unreachable closed) {
        System.out.println("closed " + closed.getMessage().endsWith("this client was closed."));
      }
    }
  }
}
