# Takes the steps of a script with the SDK for R; prints one result a line.
library(PACKAGE)

json <- function(value) PACKAGE:::write_json(value)
read <- function(text) jsonlite::fromJSON(text, simplifyDataFrame = FALSE, simplifyMatrix = FALSE)
script <- read(paste(readLines(commandArgs(TRUE)[1], encoding = "UTF-8"), collapse = "\n"))
client_of <- function(options) {
  tokens <- options$tokens
  if (!is.null(tokens)) {
    given <- 0
    options$tokens <- NULL
    options$token <- function() {
      given <<- given + 1
      tokens[[given]]
    }
  }
  do.call(Client$new, options)
}
clients <- lapply(script$clients, client_of)
episodes <- list()

episode_of <- function(step) {
  name <- step$episode
  if (is.null(episodes[[name]])) {
    memory <- if (is.null(step$of)) step$memory else episodes[[step$of]]$memory
    episodes[[name]] <<- clients[[step$client]]$episode(memory)
  }
  episodes[[name]]
}

observation_of <- function(given) Observation$new()$fromJSON(given)

take <- function(step) {
  client <- clients[[step$client]]
  asked <- step[["do"]]
  if (asked == "predict") {
    return(client$predictions$predict(observation_of(step$observation), seed = step$seed)$toJSONString())
  }
  if (asked == "construct") {
    return(client$predictions$predict(do.call(Observation$new, step$observation))$toJSONString())
  }
  if (asked == "versions_of") {
    observation <- observation_of(step$observation)
    return(json(lapply(seq_len(step$count) - 1, function(seed) {
      client$predictions$predict(observation, seed = seed)$policy_version
    })))
  }
  if (asked == "decide") {
    observation <- observation_of(step$observation)
    decided <- episode_of(step)$decide(
      observation, seed = step$seed, deterministic = step$deterministic
    )
    return(decided$toJSONString())
  }
  if (asked == "decide_at_once") {
    observation <- observation_of(step$observation)
    decided <- lapply(seq_len(step$count), function(each) {
      episode_of(step)$decide(observation)$toSimpleType()
    })
    return(json(decided))
  }
  if (asked %in% c("predict_deterministic", "distribution")) {
    return(client$predictions[[asked]](observation_of(step$observation))$toJSONString())
  }
  if (asked == "predict_batch") {
    batch <- ObservationBatch$new(lapply(step$observations, observation_of))
    return(client$predictions$predict_batch(batch, seed = step$seed)$toJSONString())
  }
  if (asked == "predict_raw") {
    return(client$predictions$predict_raw(RawObservation$new(step$obs), seed = step$seed)$toJSONString())
  }
  if (asked == "schema") {
    return(json(client$service$schema()))
  }
  if (asked == "versions") {
    return(client$versions$versions()$toJSONString())
  }
  if (asked == "activate_version") {
    return(client$versions$activate_version(step$version)$toJSONString())
  }
  if (asked == "delete_version") {
    client$versions$delete_version(step$version)
    return("null")
  }
  client$versions[[asked]](step$file)$toJSONString()
}

result_of <- function(step) {
  tryCatch(
    paste0('{"ok":', take(step), "}"),
    unknown_field = function(e) json(list(unknown = conditionMessage(e))),
    redirected = function(e) json(list(redirected = e$status, message = conditionMessage(e))),
    deadline = function(e) json(list(deadline = TRUE, message = conditionMessage(e))),
    unreachable = function(e) json(list(unreachable = TRUE, message = conditionMessage(e))),
    broken = function(e) json(list(broken = TRUE, message = conditionMessage(e))),
    refused = function(e) {
      pointers <- lapply(e$problem$errors, function(fault) fault$pointer)
      kind <- if (is.null(e$type)) NA else e$type
      json(list(refused = list(status = e$status, type = kind, pointers = unname(as.list(pointers)))))
    }
  )
}

for (step in script$steps) {
  cat(enc2utf8(result_of(step)), "\n", sep = "")
}
