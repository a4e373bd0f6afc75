// The actuators on npm knxultimate.
"use strict";
const { KNXClient } = require("knxultimate");
const { run, tell } = require("./actuators.cjs");

run((connection, heard) => {
  const client = new KNXClient({
    hostProtocol: connection.protocol, ipAddr: connection.host, ipPort: connection.port, interface: "lo",
    physAddr: connection.address, loglevel: "error", KNXQueueSendIntervalMilliseconds: connection.pauseMs || 20,
  });
  client.on("connected", () => tell({ ready: true }));
  client.on("error", (error) => tell({ error: String(error).slice(0, 200) }));
  client.on("disconnected", () => { tell({ lost: true }); setTimeout(() => client.Connect(), 1000); });
  client.on("indication", (packet) => {
    const message = packet.cEMIMessage, address = message.dstAddress.toString(), data = message.npdu.dataValue;
    if (message.npdu.isGroupRead) heard("read", address);
    else if (message.npdu.isGroupWrite) heard("write", address, data.readUInt8(data.length - 1));
  });
  client.Connect();
  return (address, percent, isAnswer) => isAnswer ? client.respond(address, percent, "5.001") : client.write(address, percent, "5.001");
});
