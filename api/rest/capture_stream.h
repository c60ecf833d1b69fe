// A capture as a stream of pcap.
#pragma once

#include "api/http/connection.h"
#include "api/http/response.h"
#include "api/rest/capture.h"

namespace lanwright::rest {

// Writes every packet as it comes. Returns when the client is gone, the server stops or the capture ends.
void stream_capture(Capture& capture, const http::Connection& connection, const http::Write& write);

}  // namespace lanwright::rest
