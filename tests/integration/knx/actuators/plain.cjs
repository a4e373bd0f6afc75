// The actuators on npm knx, a second stack.
"use strict";
const knx = require("knx");
const { run, tell } = require("./actuators.cjs");

run((connection, heard) => {
  const client = new knx.Connection({
    ipAddr: connection.host, ipPort: connection.port, physAddr: connection.address, interface: connection.interface,
    forceTunneling: connection.protocol === "TunnelUDP", loglevel: "error", minimumDelay: connection.pauseMs || 20,
    handlers: {
      connected: () => tell({ ready: true }),
      error: (error) => tell({ error: String(error).slice(0, 200) }),
      event: (event, source, address, value) => {
        if (event === "GroupValue_Read") heard("read", address);
        else if (event === "GroupValue_Write") heard("write", address, Buffer.isBuffer(value) ? value[value.length - 1] : value);
      },
    },
  });
  return (address, percent, isAnswer) => isAnswer ? client.respond(address, percent, "DPT5.001") : client.write(address, percent, "DPT5.001");
});
