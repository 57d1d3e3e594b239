# Decides on data frames with the SDK for R; prints one result a line.
library(PACKAGE)

given <- commandArgs(TRUE)
url <- given[1]
client <- Client$new(url, user = given[2], password = given[3], timeout = 120)
json <- function(value) cat(as.character(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA)), "\n", sep = "")
count <- 60
frame <- data.frame(
  id = rep(0:9, length.out = count), has_left_neighbour = TRUE, has_up_neighbour = FALSE,
  has_right_neighbour = TRUE, has_down_neighbour = rep(c(TRUE, FALSE), length.out = count),
  has_core = TRUE, is_left_free = rep(c(TRUE, NA, FALSE), length.out = count)
)
places <- matrix(rep(0:5, length.out = 2 * count), ncol = 2)
listed <- asplit(places, 1)

# Lists as columns that are matrices, lists, or one for each item.
as_matrix <- as_list <- frame
as_matrix$coordinates <- as_matrix$target <- places
as_list$coordinates <- as_list$target <- I(lapply(listed, as.vector))
numbered <- data.frame(frame, coordinates = places, target = places)
for (each in list(as_matrix, as_list, numbered)) {
  json(predict(client, each, seed = 100000))
}

class_of <- function(code) {
  tryCatch({
    force(code)
    "no error"
  }, api_error = function(e) paste(class(e)[1], conditionMessage(e)))
}
infinite <- partly <- numbered
infinite$id[3] <- Inf
partly$target.2[5] <- NA
json(c(
  class_of(predict(client, cbind(numbered, has_cor = TRUE))),
  class_of(predict(client, numbered[-1])),
  class_of(predict(client, infinite)),
  class_of(predict(client, partly)),
  class_of(client$predictions$predict(Observation$new(), sede = 7))
))
json(nrow(predict(client, numbered[0, ])))
json(nrow(predict(client, numbered[rep(1:60, 200), ])))

# An observation is valid with any kind of list, and not with items out of bounds.
observation <- Observation$new()$fromJSON(paste(readLines(given[4]), collapse = "\n"))
valid <- function(value) {
  observation$coordinates <- value
  observation$isValid()
}
json(c(valid(c(1, 2)), valid(list(1, 2)), valid(c(1, 7)), valid(c(1, NA)), valid(1), valid(c(1, 1.5))))
json(grepl(given[3], paste(capture.output(print(client), print(client$predictions)), collapse = "")))

# 10,000 rows, by the client and by curl, in turn.
many <- numbered[rep(seq_len(count), length.out = 10000), ]
body <- tempfile()
rows <- PACKAGE:::write_rows(many)
writeLines(paste0("{\"observations\":[", paste(rows, collapse = ","), "]}"), body)
by_curl <- function() {
  system2("curl", c(
    "-sf", "-o", tempfile(), "-u", paste0(given[2], ":", given[3]), "-H", "Content-Type:application/json",
    "--data-binary", paste0("@", body), paste0(url, "/predict_batch")
  ))
}
seconds <- function(run) system.time(run())[["elapsed"]]
times <- replicate(5, c(seconds(function() predict(client, many)), seconds(by_curl)))
json(apply(times, 1, stats::median))
