// An echo server by uWebSockets, modelled on its own example: uws-echo PORT; behind it, in any order, "broadcast", so that
// what one sends all get, and "deflate", so that it compresses where the client offers it, with one compressor for all.
//
// Built with its submodule uSockets and zlib beside it, without TLS, for SRC in uSockets/src and its directories eventing and crypto:
//   gcc -O3 -march=native -flto -DLIBUS_NO_SSL -IuSockets/src -c SRC/*.c
//   g++ -O3 -march=native -flto -std=c++20 -DLIBUS_NO_SSL -IuWebSockets/src -IuSockets/src echo-uwebsockets.cpp *.o -lz -o uws-echo
#include "App.h"
#include <cstdlib>
#include <iostream>
#include <string_view>
struct PerSocketData {};
int main(int argc, char **argv) {
    int port = argc > 1 ? std::atoi(argv[1]) : 9001;
    bool broadcast = false, deflate = false;
    for (int i = 2; i < argc; i++) {
        broadcast |= std::string_view(argv[i]) == "broadcast";
        deflate |= std::string_view(argv[i]) == "deflate";
    }
    auto *app = new uWS::App();
    uWS::App::WebSocketBehavior<PerSocketData> b;
    b.compression = deflate ? uWS::SHARED_COMPRESSOR : uWS::DISABLED;
    b.maxPayloadLength = 64 * 1024 * 1024;
    b.idleTimeout = 120;
    b.maxBackpressure = 128 * 1024 * 1024;
    b.closeOnBackpressureLimit = false;
    b.resetIdleTimeoutOnSend = false;
    b.sendPingsAutomatically = true;
    if (broadcast) {
        b.open = [](auto *ws) { ws->subscribe("t"); };
        // app->publish, so that the sender gets its own message as well.
        b.message = [app, deflate](auto *, std::string_view m, uWS::OpCode op) { app->publish("t", m, op, deflate); };
    } else {
        b.message = [deflate](auto *ws, std::string_view m, uWS::OpCode op) { ws->send(m, op, deflate); };
    }
    app->ws<PerSocketData>("/*", std::move(b)).listen("127.0.0.1", port, [port](auto *s) {
        if (s) std::cout << "listening on 127.0.0.1:" << port << std::endl;
    }).run();
}
