// The target of the precompiled header, and the one place where Asio's own functions are compiled.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
