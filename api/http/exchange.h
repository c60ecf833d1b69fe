// One connection's requests, through httplib: it frames and writes the answers.
#pragma once

#include <httplib.h>

#include <functional>

#include "api/http/connection.h"
#include "api/http/response.h"

namespace lanwright::http {

class HttpExchange final : private httplib::Server {
 public:
  // Answers the request whose head the connection holds. What it throws becomes a 500.
  using Responder = std::function<Response(Connection&)>;

  HttpExchange(Connection& connection, Responder responder);

  // Answers the request that the connection holds, be it accepted or refused; whether another may follow.
  bool run();

 private:
  void fill(httplib::Response& response);

  Connection& connection_;
  Responder responder_;
};

// Serves every request that has arrived, and those that follow at once. Whether the connection may go back to
// being idle.
bool serve_all(Connection& connection, const HttpExchange::Responder& responder);

}  // namespace lanwright::http
