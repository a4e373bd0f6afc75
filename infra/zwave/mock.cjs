"use strict";
// Simulated Z-Wave nodes on a simulated stick: `node mock.cjs`, all by environment variables.
//   ZWAVE_MODULES  folder that holds node_modules      ZWAVE_MOCK_SERIAL_PORT   TCP port at which a host finds the stick
//   ZWAVE_MOCK_NODES  JSON list of nodes (nodes.cjs)   ZWAVE_MOCK_CONTROL_PORT  TCP port for whoever plays the building
// Control is a JSON line a request, answered with its `id`: {"id":1,"op":"tell","node":2,"values":{"temperature":21.4}}. A client
// that has sent {"op":"subscribe"} gets every event as a line besides. Any number of clients.
const { randomUUID } = require("node:crypto");
const net = require("node:net");
const readline = require("node:readline");
const { Node } = require("./nodes.cjs");
const { Stick } = require("./stick.cjs");
const modules = require("./modules.cjs");
const { CommandClass, MultilevelSensorCCReport } = modules("@zwave-js/cc");

// Whatever a host does wrong costs its own exchange, never the building.
process.on("unhandledRejection", (error) => console.log("unhandled:", String(error?.message ?? error).slice(0, 300)));
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => process.exit(0));

const BOOT = randomUUID();
const subscribers = new Set();
const nodes = new Map();
let stick;

function event(name, fields) {
  for (const socket of subscribers) send(socket, { event: name, ...fields });
}

function send(socket, message) {
  if (!socket.destroyed) socket.write(JSON.stringify(message) + "\n");
}

function levels() {
  const dimmers = [...nodes.values()].filter((node) => node.isDimmer);
  return Object.fromEntries(dimmers.map((node) => [node.id, node.channel(0).target]));
}

const OPERATIONS = {
  subscribe(_request, socket) {
    subscribers.add(socket);
    return { boot: BOOT, levels: levels(), host: stick.socket !== undefined, settled: stick.settled };
  },
  tell: async ({ values, endpoint, push }, _socket, node) => await node.tell(values, endpoint ?? 0, push),
  hand: async ({ level, endpoint, push }, _socket, node) => await node.hand(level, endpoint ?? 0, push),
  raw: async ({ type, scale, value, endpoint }, _socket, node) =>
    await node.say(new MultilevelSensorCCReport({ nodeId: stick.controller.ownNodeId, type, scale, value }), endpoint ?? 0),
  async frame({ cc, command, payload, endpoint }, _socket, node) {
    const to = { nodeId: stick.controller.ownNodeId };
    await node.say(new CommandClass({ ...to, ccId: cc, ccCommand: command, payload: Buffer.from(payload) }), endpoint ?? 0);
  },
  dead({ on }, _socket, node) {
    node.dead = on !== false;
    node.diesAfterSet = false;
  },
  slow({ ms }, _socket, node) {
    node.lateMs = ms;
  },
  dies_after_set(_request, _socket, node) {
    node.diesAfterSet = true;
  },
  join({ description }) {
    nodes.set(description.id, Node.pending(description, stick.controller, event));
  },
  leave: async (_request, _socket, node) => await stick.leave(node.mock),
  wake: async (_request, _socket, node) => await node.wakeUp(),
  unplug: () => stick.unplug(),
  plug: async () => await stick.plug(),
  counts: () => ({ counts: Object.fromEntries([...nodes].map(([id, node]) => [id, node.counts])) }),
};
const WITHOUT_NODE = new Set(["subscribe", "join", "unplug", "plug", "counts"]);

async function answer(line, socket) {
  let request = {};
  try {
    request = JSON.parse(line);
    const operation = Object.hasOwn(OPERATIONS, request.op) ? OPERATIONS[request.op] : undefined;
    if (!operation) throw new Error(`unknown op ${JSON.stringify(request.op)}`);
    const node = nodes.get(request.node);
    if (!node && !WITHOUT_NODE.has(request.op)) throw new Error(`no node ${request.node}`);
    send(socket, { id: request.id, ok: true, ...(await operation(request, socket, node)) });
  } catch (error) {
    send(socket, { id: request.id, ok: false, error: error.message });
  }
}

function control(socket) {
  socket.setNoDelay(true);
  socket.on("close", () => subscribers.delete(socket));
  let last = Promise.resolve(); // in order, one after the other
  const lines = readline.createInterface({ input: socket });
  lines.on("line", (line) => (last = last.then(() => answer(line, socket))));
  for (const each of [socket, lines]) each.on("error", (error) => console.log("control:", error.message)); // both are told
}

async function main() {
  const { ZWAVE_MOCK_NODES, ZWAVE_MOCK_SERIAL_PORT, ZWAVE_MOCK_CONTROL_PORT } = process.env;
  stick = await Stick.start(Number(ZWAVE_MOCK_SERIAL_PORT), event);
  stick.reaches = (id) => !nodes.get(id)?.dead;
  for (const description of JSON.parse(ZWAVE_MOCK_NODES)) {
    nodes.set(description.id, await Node.create(description, stick.controller, event));
  }
  net.createServer(control).listen(Number(ZWAVE_MOCK_CONTROL_PORT), "127.0.0.1");
  console.log(`${nodes.size} simulated Z-Wave nodes on a stick at tcp://127.0.0.1:${ZWAVE_MOCK_SERIAL_PORT}`);
}

main().catch((error) => {
  console.error(`Error: ${error.message}`);
  process.exit(1);
});
