package PACKAGE

import PACKAGE.core.JsonSupport.given
import PACKAGE.model.*
import com.github.plokhotnyuk.jsoniter_scala.core.*
import java.net.URI
import java.net.http.HttpClient.Version
import java.net.http.HttpRequest.BodyPublishers
import java.net.http.HttpResponse.BodyHandlers
import java.net.http.{HttpClient, HttpRequest}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}
import java.util.Base64

/** Decides by the HTTP client of the JDK and by the SDK in turns; prints the median of each in microseconds. */
@main def driver(url: String, user: String, password: String, example: String, warm: Int, calls: Int, rows: Int): Unit =
  val observation = readFromArray[Observation](Files.readAllBytes(Path.of(example)))
  val proof = "Basic " + Base64.getEncoder.encodeToString(s"$user:$password".getBytes(UTF_8))
  val http = HttpClient.newBuilder.version(Version.HTTP_1_1).build()
  val client = Client(url, Credentials.Basic(user, password))
  val batch = ObservationBatch(Seq.fill(rows)(observation))
  val path = if rows == 1 then "predict" else "predict_batch"
  def raw(): Any =
    val request = HttpRequest.newBuilder(URI.create(s"$url/$path"))
      .header("Content-Type", "application/json")
      .header("Authorization", proof)
      .POST(BodyPublishers.ofByteArray(if rows == 1 then writeToArray(observation) else writeToArray(batch)))
      .build()
    val body = http.send(request, BodyHandlers.ofByteArray).body
    if rows == 1 then readFromArray[Prediction](body) else readFromArray[PredictionBatch](body)
  def ours(): Any =
    if rows == 1 then client.send(client.predictions.predict(observation)).toOption.get
    else client.send(client.predictions.predictBatch(batch)).toOption.get
  def nanos(asked: () => Any): Long =
    val begun = System.nanoTime
    asked()
    System.nanoTime - begun
  def median(taken: Seq[Long]): Double = taken.sorted.apply(taken.size / 2) / 1000.0
  val taken = Seq.fill(warm + calls)((nanos(raw), nanos(ours))).drop(warm)
  println(s"${median(taken.map(_(0)))} ${median(taken.map(_(1)))}")
  client.close()
