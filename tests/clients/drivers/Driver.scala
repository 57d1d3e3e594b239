package PACKAGE

import PACKAGE.core.Incomplete
import PACKAGE.core.JsonSupport.{deriveJsonCodec, given}
import PACKAGE.model.*
import com.github.plokhotnyuk.jsoniter_scala.core.*
import com.github.plokhotnyuk.jsoniter_scala.macros.*
import java.io.File
import java.net.URI
import java.nio.file.{Files, Path}
import java.util.concurrent.Executors
import scala.concurrent.duration.*
import scala.concurrent.{Await, ExecutionContext, Future}
import sttp.client4.httpclient.{HttpClientFutureBackend, HttpClientSyncBackend}
import sttp.client4.{Request, ResponseException}

/** JSON as it stands in the script. */
case class Raw(json: Array[Byte])
object Raw:
  given JsonValueCodec[Raw] = new JsonValueCodec[Raw]:
    def nullValue: Raw = null
    def encodeValue(value: Raw, out: JsonWriter): Unit = out.writeRawVal(value.json)
    def decodeValue(in: JsonReader, default: Raw): Raw = Raw(in.readRawValAsBytes())

case class Given(
    url: String, user: Option[String], password: Option[String], key: Option[String],
    token: Option[String], tokens: Option[Seq[String]], retries: Option[Int], timeout: Option[Double],
    upload_timeout: Option[Double], ca_file: Option[String], certificate_file: Option[String],
    certificate_key_file: Option[String], proxy: Option[String], headers: Map[String, String] = Map.empty)
case class Step(
    client: String, `do`: String, seed: Option[Long], observation: Option[Raw], episode: Option[String],
    of: Option[String], memory: Option[String], deterministic: Option[Boolean],
    observations: Option[Seq[Raw]], count: Option[Int], obs: Option[Seq[Double]], file: Option[String],
    version: Option[String])
case class Script(clients: Map[String, Given], steps: Seq[Step])

/** Takes the steps of a script with the SDK for Scala; prints one result a line. */
@main def driver(path: String): Unit =
  given JsonValueCodec[Script] = JsonCodecMaker.make
  val script = readFromArray[Script](Files.readAllBytes(Path.of(path)))
  val clients = script.clients.map((name, options) => name -> clientOf(options))
  script.steps.foreach { step =>
    val result = try resultOf(clients(step.client), step)
      catch case error: JsonReaderException => s"""{"unknown":${quoted(error.getMessage)}}"""
    println(result)
  }

def quoted(text: String): String = writeToString(text)(using JsonCodecMaker.make[String])

/** So many calls at the same time. */
given ExecutionContext = ExecutionContext.fromExecutorService(Executors.newFixedThreadPool(20, task => {
  val thread = Thread(task)
  thread.setDaemon(true)
  thread
}))

lazy val futures = HttpClientFutureBackend()

val episodes = scala.collection.mutable.Map.empty[String, Episode]

def episodeOf(client: Client, step: Step): Episode =
  episodes.getOrElseUpdate(step.episode.get, client.episode(step.of.fold(step.memory)(episodes(_).memory)))

def clientOf(given_ : Given): Client =
  val credentials = given_.user match
    case Some(user) => Credentials.Basic(user, given_.password.get)
    case None       =>
      given_.key.map(Credentials.Key(_)).orElse(given_.token.map(Credentials.Bearer(_))).getOrElse {
        val each = given_.tokens.get.iterator
        Credentials.BearerFrom(() => each.next())
      }
  val options = Options(
    uploadTimeout = given_.upload_timeout.getOrElse(600.0).seconds,
    caFile = given_.ca_file.map(Path.of(_)),
    clientCertificate = given_.certificate_file.map(file => (Path.of(file), Path.of(given_.certificate_key_file.get))),
    proxy = given_.proxy.map(URI.create),
    headers = given_.headers,
    backend = given_.key.map(_ => HttpClientSyncBackend()) // one of the user's own
  )
  Client(given_.url, credentials, given_.timeout.getOrElse(30.0).seconds, given_.retries.getOrElse(3), options)

def resultOf(client: Client, step: Step): String =
  def told[T: JsonValueCodec](request: Request[Either[ResponseException[String], T]]): String =
    result(request)(writeToString(_))
  def result[T](request: Request[Either[ResponseException[String], T]])(written: T => String): String =
    said(client.send(request))(written)
  def said[T](answer: Either[Failure, T])(written: T => String): String =
    answer match
      case Right(answer)                => s"""{"ok":${written(answer)}}"""
      case Left(failure @ Failure.Redirected(status, _)) =>
        s"""{"redirected":$status,"message":${quoted(failure.message)}}"""
      case Left(failure: Failure.DeadlineExceeded) => s"""{"deadline":true,"message":${quoted(failure.message)}}"""
      case Left(failure: Failure.Unreachable) => s"""{"unreachable":true,"message":${quoted(failure.message)}}"""
      case Left(failure: Failure.Unreadable) => s"""{"broken":true,"message":${quoted(failure.message)}}"""
      case Left(failure @ Failure.Refused(status, problem)) =>
        val pointers = problem.flatMap(_.errors).getOrElse(Nil).map(fault => s""""${fault.pointer}"""")
        val kind = failure.problemType.fold("null")(quoted)
        s"""{"refused":{"status":$status,"type":$kind,"pointers":[${pointers.mkString(",")}]}}"""
  def observation = readFromArray[Observation](step.observation.get.json)
  step.`do` match
    case "predict"               => told(client.predictions.predict(observation, step.seed))
    case "construct"             => told(client.predictions.predict(observation))
    case "nulls" =>
      def place(asked: => Any): String =
        try s"sent: $asked"
        catch case error: Incomplete => error.place
      val places = Seq(
        place(client.predictions.predict(null)),
        place(client.predictions.predictBatch(ObservationBatch(Seq(observation, null)))),
        place(client.predictions.predictRaw(RawObservation(null))),
        place(client.episode().decide(null))
      )
      s"""{"ok":[${places.map(quoted).mkString(",")}]}"""
    case "versions_of" =>
      val asked = observation
      val answers = Future.traverse((0 until step.count.get).toList)(seed =>
        val request = client.predictions.predict(asked, Some(seed.toLong))
        if seed % 2 == 0 then Future(client.send(request)) else client.sendWith(futures)(request)
      )
      val versions = Await.result(answers, 1.minute).map(_.toOption.get.policyVersion.get)
      s"""{"ok":[${versions.map(quoted).mkString(",")}]}"""
    case "decide" =>
      said(episodeOf(client, step).decide(observation, step.seed, step.deterministic))(writeToString(_))
    case "decide_at_once" =>
      val (asked, episode) = (observation, episodeOf(client, step))
      val answers = Future.traverse((1 to step.count.get).toList)(_ => Future(episode.decide(asked)))
      val decided = Await.result(answers, 1.minute).map(_.toOption.get)
      s"""{"ok":[${decided.map(writeToString(_)).mkString(",")}]}"""
    case "predict_deterministic" => told(client.predictions.predictDeterministic(observation))
    case "distribution"          => told(client.predictions.distribution(observation))
    case "predict_batch" =>
      told(client.predictions.predictBatch(ObservationBatch(step.observations.get.map(each => readFromArray[Observation](each.json))), step.seed))
    case "predict_raw" => told(client.predictions.predictRaw(RawObservation(step.obs.get), step.seed))
    case "schema"      => told(client.service.schema)
    case "versions"    => told(client.versions.versions)
    case "activate_version"     => told(client.versions.activateVersion(step.version.get))
    case "delete_version"       => result(client.versions.deleteVersion(step.version.get))(_ => "null")
    case "upload_output_mapper" => told(client.versions.uploadOutputMapper(File(step.file.get)))
    case "upload_preprocessor"  => told(client.versions.uploadPreprocessor(File(step.file.get)))
