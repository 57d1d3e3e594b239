package PACKAGE;

import PACKAGE.api.PredictionsApi;
import PACKAGE.auth.ApiKeyAuth;
import PACKAGE.model.*;
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;

/** Takes the steps of a script with what swagger-codegen writes for Java; one result a line. */
public final class Driver {
  public static void main(String[] arguments) throws Exception {
    JsonObject script = new Gson().fromJson(Files.readString(Path.of(arguments[0])), JsonObject.class);
    Map<String, ApiClient> clients = new HashMap<>();
    for (Map.Entry<String, JsonElement> entry : script.getAsJsonObject("clients").entrySet()) {
      clients.put(entry.getKey(), client(entry.getValue().getAsJsonObject()));
    }
    for (JsonElement each : script.getAsJsonArray("steps")) {
      JsonObject step = each.getAsJsonObject();
      System.out.println(resultOf(clients.get(step.get("client").getAsString()), step));
    }
  }

  private static ApiClient client(JsonObject given) {
    ApiClient client = new ApiClient().setBasePath(given.get("url").getAsString());
    client.getHttpClient().setFollowRedirects(false);
    if (given.has("user")) {
      client.setUsername(given.get("user").getAsString());
      client.setPassword(given.get("password").getAsString());
    } else if (given.has("key")) {
      ((ApiKeyAuth) client.getAuthentication("key")).setApiKey(given.get("key").getAsString());
    } else {
      ApiKeyAuth bearer = (ApiKeyAuth) client.getAuthentication("bearer");
      bearer.setApiKey(given.get("token").getAsString());
      bearer.setApiKeyPrefix("Bearer");
    }
    return client;
  }

  private static String resultOf(ApiClient client, JsonObject step) {
    try {
      return "{\"ok\":" + client.getJSON().serialize(take(client, step)) + "}";
    } catch (ApiException error) {
      return "{\"refused\":{\"status\":" + error.getCode() + "}}";
    }
  }

  private static Object take(ApiClient client, JsonObject step) throws ApiException {
    PredictionsApi predictions = new PredictionsApi(client);
    Long seed = step.has("seed") ? step.get("seed").getAsLong() : null;
    switch (step.get("do").getAsString()) {
      case "predict":
        return predictions.predict(observation(client, step.get("observation")), seed);
      case "predict_deterministic":
        return predictions.predictDeterministic(observation(client, step.get("observation")));
      case "distribution":
        return predictions.distribution(observation(client, step.get("observation")));
      default:
        ObservationBatch batch = new ObservationBatch().observations(new ArrayList<>());
        for (JsonElement each : step.getAsJsonArray("observations")) {
          batch.addObservationsItem(observation(client, each));
        }
        return predictions.predictBatch(batch, seed, null);
    }
  }

  private static Observation observation(ApiClient client, JsonElement given) {
    return client.getJSON().deserialize(given.toString(), Observation.class);
  }
}
