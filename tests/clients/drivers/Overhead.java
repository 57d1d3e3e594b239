package PACKAGE;

import PACKAGE.model.Observation;
import PACKAGE.model.ObservationBatch;
import PACKAGE.model.Prediction;
import PACKAGE.model.PredictionBatch;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import org.apache.hc.client5.http.classic.methods.HttpPost;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;

/** Decides by Apache HttpClient and by the SDK in turns; prints the median of each in microseconds. */
public final class Driver {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0];
    int warm = Integer.parseInt(arguments[4]);
    int calls = Integer.parseInt(arguments[5]);
    int rows = Integer.parseInt(arguments[6]);
    String path = url + (rows == 1 ? "/predict" : "/predict_batch");
    Class<?> answered = rows == 1 ? Prediction.class : PredictionBatch.class;
    ObjectMapper json = new ObjectMapper();
    byte[] pair = (arguments[1] + ":" + arguments[2]).getBytes(StandardCharsets.UTF_8);
    String proof = "Basic " + Base64.getEncoder().encodeToString(pair);
    long[] raw = new long[calls];
    long[] ours = new long[calls];
    Client.Credentials credentials = Client.Credentials.basic(arguments[1], arguments[2]);
    try (Client client = new Client(url, credentials); CloseableHttpClient http = HttpClients.createDefault()) {
      Observation observation = client.json().readValue(new File(arguments[3]), Observation.class);
      ObservationBatch batch = new ObservationBatch().observations(Collections.nCopies(rows, observation));
      Object body = rows == 1 ? observation : batch;
      for (int call = -warm; call < calls; call++) {
        long begun = System.nanoTime();
        HttpPost post = new HttpPost(path);
        post.setHeader("Authorization", proof);
        post.setEntity(new ByteArrayEntity(json.writeValueAsBytes(body), ContentType.APPLICATION_JSON));
        http.execute(post, answer -> json.readValue(EntityUtils.toByteArray(answer.getEntity()), answered));
        long between = System.nanoTime();
        if (rows == 1) {
          client.predict(observation);
        } else {
          client.predictions().predictBatch(batch, null, null);
        }
        long ended = System.nanoTime();
        if (call >= 0) {
          raw[call] = between - begun;
          ours[call] = ended - between;
        }
      }
    }
    Arrays.sort(raw);
    Arrays.sort(ours);
    System.out.println(raw[calls / 2] / 1000.0 + " " + ours[calls / 2] / 1000.0);
  }
}
