# Decides by the package curl and by the SDK in turns; prints the median of each in microseconds.
library(PACKAGE)

given <- commandArgs(TRUE)
url <- given[1]
counts <- as.integer(given[5:7])
example <- jsonlite::fromJSON(given[4], simplifyVector = FALSE)
observation <- Observation$new()$fromJSON(paste(readLines(given[4]), collapse = "\n"))
client <- Client$new(url, user = given[2], password = given[3])
count <- counts[3]
one <- count == 1
columns <- lapply(example, function(value) {
  if (is.list(value)) I(rep(list(unlist(value)), count)) else rep(value, count)
})
frame <- as.data.frame(columns)
handle <- curl::new_handle()
curl::handle_setheaders(handle, "Content-Type" = "application/json")
curl::handle_setopt(handle, userpwd = paste0(given[2], ":", given[3]), httpauth = 1)
by_curl <- function() {
  body <- if (one) example else list(observations = frame)
  text <- jsonlite::toJSON(body, auto_unbox = TRUE, digits = NA)
  curl::handle_setopt(handle, copypostfields = text)
  answer <- curl::curl_fetch_memory(paste0(url, if (one) "/predict" else "/predict_batch"), handle)
  stopifnot(answer$status_code == 200)
  jsonlite::fromJSON(rawToChar(answer$content))
}
by_sdk <- function() if (one) client$predictions$predict(observation) else predict(client, frame)
micros <- function(run) {
  begun <- Sys.time()
  run()
  1e6 * as.numeric(Sys.time() - begun, units = "secs")
}
taken <- replicate(counts[1] + counts[2], c(micros(by_curl), micros(by_sdk)))
cat(apply(taken[, -seq_len(counts[1])], 1, stats::median), "\n")
