//! Header fields: names, values and comma-separated lists of tokens.
