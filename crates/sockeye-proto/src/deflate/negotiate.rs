//! The `Sec-WebSocket-Extensions` parameters of permessage-deflate (RFC 7692 section 7.1).
