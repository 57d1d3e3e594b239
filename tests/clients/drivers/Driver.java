package PACKAGE;

import PACKAGE.model.*;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;

/** Takes the steps of a script with the SDK for Java; prints one result a line. */
public final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();

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
            : Client.Credentials.bearer(given.get("token").asText());
    Duration timeout = Duration.ofSeconds(given.path("timeout").asInt(30));
    return new Client(given.get("url").asText(), credentials, timeout, given.path("retries").asInt(3));
  }

  private static ObjectNode resultOf(Client client, JsonNode step) throws Exception {
    ObjectNode result = JSON.createObjectNode();
    try {
      return result.set("ok", client.json().valueToTree(take(client, step)));
    } catch (ApiException error) {
      var problem = client.problem(error);
      if (problem.isEmpty()) {
        return result.put("unreachable", error.getCause() != null);
      }
      ObjectNode refused = result.putObject("refused").put("status", error.getCode());
      var pointers = refused.putArray("pointers");
      if (problem.get().getErrors() != null) {
        problem.get().getErrors().forEach(fault -> pointers.add(fault.getPointer()));
      }
      return result;
    }
  }

  private static Object take(Client client, JsonNode step) throws Exception {
    Long seed = step.has("seed") ? step.get("seed").asLong() : null;
    ObjectMapper mapper = client.json();
    switch (step.get("do").asText()) {
      case "predict":
        return client.predictions().predict(mapper.treeToValue(step.get("observation"), Observation.class), seed);
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
