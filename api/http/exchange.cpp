#include "api/http/exchange.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "api/http/problem.h"

namespace lanwright::http {
namespace {

// Who asks several things asks the next one at once, and two wake-ups of threads are spared.
constexpr std::chrono::milliseconds kLinger{1};

// No answer is ever cut in two by what it quotes.
std::string on_one_line(std::string text) {
  std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return text;
}

Response failed(const std::exception& exception) {
  return problem(Error{.kind = ErrorKind::internal,
                       .tried = "answer the request",
                       .object = {},
                       .words = exception.what(),
                       .hint = "this is a defect of the agent: report it"});
}

}  // namespace

HttpExchange::HttpExchange(Connection& connection, Responder responder)
    : connection_(connection), responder_(std::move(responder)) {
  // Anything but INVALID_SOCKET: httplib takes that for the sign that it is to stop.
  svr_sock_ = connection.descriptor();
  set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
    fill(response);
    return HandlerResponse::Handled;
  });
  set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) return HandlerResponse::Handled;
    // httplib could not read a head that this server wrote.
    const Response answer =
        problem(HttpError{.status = response.status, .detail = "the request is not understood", .hint = {}});
    response.set_content(answer.body, answer.content_type);
    return HandlerResponse::Handled;
  }));
  set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
    response.headers.erase("Keep-Alive");  // tells httplib's own limits, which do not hold here
    response.headers.erase("Accept-Ranges");
    response.headers.erase("Connection");
    if (!connection_.reusable()) response.set_header("Connection", "close");
  });
}

void HttpExchange::fill(httplib::Response& response) {
  Response answer;
  try {
    answer = responder_(connection_);
  } catch (const std::exception& exception) {
    answer = failed(exception);
  }
  response.status = answer.status;
  for (const auto& [name, value] : answer.headers) response.set_header(name, on_one_line(value));
  response.set_header("Cache-Control", "no-store");
  if (!answer.stream) {
    response.set_content(answer.body, answer.content_type);
    return;
  }
  connection_.make_last();  // the end of the connection is the end of the stream
  response.set_content_provider(
      answer.content_type, [stream = std::move(answer.stream)](std::size_t, httplib::DataSink& sink) {
        try {
          stream([&](std::string_view text) { return sink.write(text.data(), text.size()); });
        } catch (const std::exception&) {
          return false;  // too late for another status: the client sees the end
        }
        sink.done();
        return true;
      });
}

bool HttpExchange::run() {
  bool closed = false;
  return process_request(connection_, false, closed, nullptr) && !closed && connection_.reusable();
}

bool serve_all(Connection& connection, const HttpExchange::Responder& responder) {
  do {
    if (connection.read_head() == Connection::Intake::closed) return false;
    if (!HttpExchange(connection, responder).run()) return false;
  } while (connection.goes_on_within(kLinger));
  return !connection.has_buffered();
}

}  // namespace lanwright::http
