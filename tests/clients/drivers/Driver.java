package PACKAGE;

import PACKAGE.model.*;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.hc.client5.http.impl.classic.HttpClients;

/** Takes the steps of a script with the SDK for Java; prints one result a line. */
public final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, Episode> EPISODES = new HashMap<>();

  public static void main(String[] arguments) throws Exception {
    JsonNode script = JSON.readTree(new File(arguments[0]));
    Map<String, Client> clients = new HashMap<>();
    for (var entry : script.get("clients").properties()) {
      clients.put(entry.getKey(), client(entry.getValue()));
    }
    for (JsonNode step : script.get("steps")) {
      System.out.println(resultOf(clients.get(step.get("client").asText()), step));
    }
  }

  private static Client client(JsonNode given) {
    Client.Credentials credentials = given.has("user")
        ? Client.Credentials.basic(given.get("user").asText(), given.get("password").asText())
        : given.has("key")
            ? Client.Credentials.key(given.get("key").asText())
            : given.has("token")
                ? Client.Credentials.bearer(given.get("token").asText())
                : Client.Credentials.bearer(eachOf(given.get("tokens")));
    ClientBuilder builder = Client.builder(given.get("url").asText()).credentials(credentials)
        .timeout(seconds(given.path("timeout").asDouble(30)))
        .retries(given.path("retries").asInt(3));
    if (given.has("key")) {
      // One of the user's own, which would follow redirects by itself.
      builder.httpClient(HttpClients.createDefault());
    }
    if (given.has("upload_timeout")) {
      builder.uploadTimeout(seconds(given.get("upload_timeout").asDouble()));
    }
    if (given.has("ca_file")) {
      builder.caFile(given.get("ca_file").asText());
    }
    if (given.has("certificate_file")) {
      builder.clientCertificate(given.get("certificate_file").asText(), given.get("certificate_key_file").asText());
    }
    if (given.has("proxy")) {
      builder.proxy(given.get("proxy").asText());
    }
    given.path("headers").properties().forEach(each -> builder.header(each.getKey(), each.getValue().asText()));
    return builder.build();
  }

  private static Duration seconds(double seconds) {
    return Duration.ofMillis((long) (seconds * 1000));
  }

  private static Supplier<String> eachOf(JsonNode tokens) {
    Iterator<JsonNode> left = tokens.iterator();
    return () -> left.next().asText();
  }

  private static ObjectNode resultOf(Client client, JsonNode step) throws Exception {
    ObjectNode result = JSON.createObjectNode();
    try {
      return result.set("ok", client.json().valueToTree(take(client, step)));
    } catch (JsonMappingException error) {
      return result.put("unknown", error.getMessage());
    } catch (DeadlineExceeded error) {
      return result.put("deadline", true).put("message", error.getMessage());
    } catch (Unreachable error) {
      return result.put("unreachable", error.getCause() != null).put("message", error.getMessage());
    } catch (Unreadable error) {
      return result.put("broken", error.getCause() != null).put("message", error.getMessage());
    } catch (Redirected error) {
      return result.put("redirected", error.getCode()).put("message", error.getMessage());
    } catch (Refused error) {
      ObjectNode refused = result.putObject("refused").put("status", error.getCode())
          .put("type", error.type().orElse(null));
      var pointers = refused.putArray("pointers");
      error.problem().map(Problem::getErrors).ifPresent(
          faults -> faults.forEach(fault -> pointers.add(fault.getPointer())));
      return result;
    }
  }

  private static List<String> versionsOf(Client client, Observation observation, long count) throws Exception {
    return atOnce(count, seed -> client.predict(observation, seed).getPolicyVersion());
  }

  /** What an operation that is asked so many times gives, in 20 threads. */
  private static <T> List<T> atOnce(long count, Asked<T> asked) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(20);
    try {
      List<Callable<T>> tasks = LongStream.range(0, count)
          .mapToObj(seed -> (Callable<T>) () -> asked.with(seed)).collect(Collectors.toList());
      List<T> answers = new ArrayList<>();
      for (Future<T> each : threads.invokeAll(tasks)) {
        answers.add(each.get());
      }
      return answers;
    } finally {
      threads.shutdown();
    }
  }

  private interface Asked<T> {
    T with(long seed) throws ApiException;
  }

  private static Episode episode(Client client, JsonNode step) {
    return EPISODES.computeIfAbsent(step.get("episode").asText(), name -> step.has("of")
        ? client.episode(EPISODES.get(step.get("of").asText()).memory().orElseThrow())
        : step.has("memory") ? client.episode(step.get("memory").asText()) : client.episode());
  }

  /** Where what is sent has null, of things that were not sent. */
  private static List<String> nulls(Client client, Observation observation) {
    List<Callable<?>> asked = List.of(
        () -> client.predict(null),
        () -> client.predict(new Observation()),
        () -> client.predictBatch(Arrays.asList(observation, null)),
        () -> client.predictBatch(null),
        () -> client.predictions().predictRaw(new RawObservation().obs(Arrays.asList(1.0, null)), null),
        () -> client.async().predict(null).join(),
        () -> client.episode().decide(null));
    return asked.stream().map(Driver::pointerOf).collect(Collectors.toList());
  }

  private static String pointerOf(Callable<?> asked) {
    try {
      return "answered: " + asked.call();
    } catch (Exception error) {
      Throwable cause = error instanceof CompletionException ? error.getCause() : error;
      return cause instanceof Incomplete ? ((Incomplete) cause).pointer() : cause.toString();
    }
  }

  private static Object take(Client client, JsonNode step) throws Exception {
    Long seed = step.has("seed") ? step.get("seed").asLong() : null;
    ObjectMapper mapper = client.json();
    switch (step.get("do").asText()) {
      case "predict":
        return client.predictions().predict(mapper.treeToValue(step.get("observation"), Observation.class), seed);
      case "construct":
        // As others read JSON, who leave out what they do not know.
        ObjectMapper lenient = new ObjectMapper().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        return client.predictions().predict(lenient.treeToValue(step.get("observation"), Observation.class), null);
      case "nulls":
        return nulls(client, mapper.treeToValue(step.get("observation"), Observation.class));
      case "versions_of":
        return versionsOf(client, mapper.treeToValue(step.get("observation"), Observation.class), step.get("count").asLong());
      case "decide":
        Boolean deterministic = step.has("deterministic") ? step.get("deterministic").asBoolean() : null;
        return episode(client, step).decide(mapper.treeToValue(step.get("observation"), Observation.class), seed, deterministic);
      case "decide_at_once":
        Episode shared = episode(client, step);
        Observation asked = mapper.treeToValue(step.get("observation"), Observation.class);
        return atOnce(step.get("count").asLong(), each -> shared.decide(asked));
      case "predict_deterministic":
        return client.predictions().predictDeterministic(mapper.treeToValue(step.get("observation"), Observation.class));
      case "distribution":
        return client.predictions().distribution(mapper.treeToValue(step.get("observation"), Observation.class));
      case "predict_batch":
        ObservationBatch batch = new ObservationBatch().observations(new ArrayList<>());
        for (JsonNode each : step.get("observations")) {
          batch.addObservationsItem(mapper.treeToValue(each, Observation.class));
        }
        return client.predictions().predictBatch(batch, seed, null);
      case "predict_raw":
        RawObservation raw = new RawObservation();
        step.get("obs").forEach(number -> raw.addObsItem(number.asDouble()));
        return client.predictions().predictRaw(raw, seed);
      case "schema":
        return client.service().schema();
      case "versions":
        return client.versions().versions();
      case "activate_version":
        return client.versions().activateVersion(step.get("version").asText());
      case "delete_version":
        client.versions().deleteVersion(step.get("version").asText());
        return null;
      case "upload_output_mapper":
        return client.versions().uploadOutputMapper(new File(step.get("file").asText()));
      default:
        return client.versions().uploadPreprocessor(new File(step.get("file").asText()));
    }
  }
}
