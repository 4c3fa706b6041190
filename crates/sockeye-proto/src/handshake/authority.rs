//! Host and port, as `Host`, request targets and `Origin` carry them.
