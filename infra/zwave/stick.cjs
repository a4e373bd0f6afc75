"use strict";
// zwave-js's mock controller behind a TCP port, where a host (Z-Wave JS, or OpenZWave through a pty) finds it as it would find a
// stick behind a serial-to-network bridge. zwave-js's own mock server takes every chunk for one frame, announces itself by mDNS,
// and is stuck for good once a host has died in mid-exchange; this one does none of that.
const { AsyncLocalStorage } = require("node:async_hooks");
const net = require("node:net");
const modules = require("./modules.cjs");
const { CommandClass } = modules("@zwave-js/cc");
const { RemoveNodeFromNetworkRequest, RemoveNodeFromNetworkRequestStatusReport, RemoveNodeStatus, RemoveNodeType } =
  modules("@zwave-js/serial/serialapi");
const { MockController, getDefaultSupportedFunctionTypes } = modules("@zwave-js/testing");
const { createDefaultMockControllerBehaviors } = modules("zwave-js/Testing");
const { ROUTE_FUNCTIONS, aboutRoutes, stopsIncluding } = require("./management.cjs");

const SOF = 0x01;
const ACK = 0x06;
const HEADERS = new Set([ACK, 0x15, 0x18]); // ACK, NAK, CAN
const REST_OF_FRAME_MS = 1500; // INS12350, 6.2.2: a receiver aborts a data frame that is not complete by then
const QUIET_MS = 500;
const SERIAL_API_SET_TIMEOUTS = 0x06;

// Only OpenZWave asks for it; answered with the old timeouts, in units of 10 ms.
const setTimeouts = {
  async onHostMessage(controller, message) {
    if (message.functionType !== SERIAL_API_SET_TIMEOUTS) return false;
    const frame = [SOF, 0x05, 0x01, SERIAL_API_SET_TIMEOUTS, 0x64, 0x0f];
    controller.mockPort.emitData(Uint8Array.from([...frame, frame.slice(1).reduce((sum, byte) => sum ^ byte, 0xff)]));
    return true;
  },
};

class Stick {
  /** `event(name, fields)` hears when a host comes, goes, and has nothing more to ask (`settled`). */
  constructor(port, event) {
    this.port = port;
    this.event = event;
    this.settled = false;
    this.plugged = false;
    this.reaches = () => true; // whether a node answers, by its id
    this.socket = undefined;
    this.asked = new Set(); // nodes that this host has sent something to
    this.exchange = new AsyncLocalStorage(); // the connection on behalf of which something is done
    this.listener = net.createServer((socket) => this.connected(socket));
  }

  static async start(port, event) {
    const stick = new Stick(port, event);
    // Frames are handed over as whole ones, in `received`: the controller's own reading of a stream never gets any.
    const mockPort = { readable: (async function* () {})(), emitData: (data) => stick.hears() && stick.socket.write(data) };
    const capabilities = { supportedFunctionTypes: [...getDefaultSupportedFunctionTypes(), ...ROUTE_FUNCTIONS] };
    stick.controller = await MockController.create({ homeId: 0x7e570001, ownNodeId: 1, mockPort, serial: undefined, capabilities });
    stick.controller.defineBehavior(...createDefaultMockControllerBehaviors());
    const removes = { onHostMessage: (_controller, message) => stick.removes(message) };
    stick.controller.defineBehavior(setTimeouts, stopsIncluding, removes);
    stick.harden();
    await stick.plug();
    return stick;
  }

  /** What the mock controller was not made for: hosts that go in mid-exchange, frames that nobody can read. */
  harden() {
    const controller = this.controller;
    // Where an exchange stands is kept for each host: one that has gone in the middle must not keep the next one waiting.
    const states = new WeakMap();
    const stateOf = (host) => states.get(host) ?? states.set(host, new Map()).get(host);
    Object.defineProperty(controller, "state", { get: () => stateOf(this.exchange.getStore() ?? this.socket ?? this) });
    const toHost = controller.sendMessageToHost.bind(controller);
    controller.sendMessageToHost = async (message, node) => {
      if (!this.hears()) return;
      const late = (error) => console.log("not acknowledged by the host:", message.constructor.name, error.message);
      await toHost(message, node).catch(late);
    };
    const acknowledged = controller.expectHostACK.bind(controller);
    controller.expectHostACK = async (timeout) => (this.hears() ? await acknowledged(timeout) : undefined);
    const toNode = controller.sendToNode.bind(controller);
    controller.sendToNode = async (node, frame) => {
      if (!node) return { ack: false }; // a node of another building, from the host's cache
      this.asked.add(node.id);
      const payload = frame.payload;
      if (typeof payload === "function") {
        // A frame that cannot be parsed would end the loop that carries all frames.
        frame.payload = () => payload().catch(() => new CommandClass({ nodeId: controller.ownNodeId, ccId: 0x00 }));
      }
      return await toNode(node, frame);
    };
  }

  /** Whether there is a host to tell something: an answer to one that has gone is not for the next one. */
  hears() {
    const asker = this.exchange.getStore();
    return this.socket !== undefined && (asker === undefined || asker === this.socket);
  }

  /** Take hosts. Levels and values of the nodes are as they were. */
  async plug() {
    if (this.plugged) return;
    this.plugged = true;
    await new Promise((listening, failed) => {
      this.listener.once("error", failed);
      this.listener.listen(this.port, "127.0.0.1", () => {
        this.listener.off("error", failed);
        listening();
      });
    });
  }

  /** Pulled out: the host loses its connection, and gets none until it is plugged in again. */
  unplug() {
    if (!this.plugged) return;
    this.plugged = false;
    this.listener.close();
    this.socket?.destroy();
  }

  /** Exclusion, which zwave-js's mock only begins: a node that wants to leave does once the host lets it. */
  async removes(message) {
    if (!(message instanceof RemoveNodeFromNetworkRequest)) return false;
    const stop = message.removeNodeType === RemoveNodeType.Stop;
    this.removing = stop ? undefined : message.callbackId;
    if (message.callbackId) {
      const report = { callbackId: message.callbackId, status: stop ? RemoveNodeStatus.Done : RemoveNodeStatus.Ready };
      await this.controller.sendMessageToHost(new RemoveNodeFromNetworkRequestStatusReport(report));
    }
    if (this.leaving) void this.leave(this.leaving);
    return true;
  }

  async leave(node) {
    this.leaving = node;
    if (this.removing === undefined) return;
    const { controller, removing: callbackId } = this;
    this.removing = this.leaving = undefined;
    for (const [status, about] of [
      [RemoveNodeStatus.NodeFound, {}],
      [RemoveNodeStatus.RemovingSlave, { nodeId: node.id }],
      [RemoveNodeStatus.Done, {}],
    ]) {
      await new Promise((done) => setTimeout(done, 10));
      if (status === RemoveNodeStatus.Done) controller.removeNode(node);
      await controller.sendMessageToHost(new RemoveNodeFromNetworkRequestStatusReport({ callbackId, status, ...about }));
    }
  }

  connected(socket) {
    this.socket?.destroy(); // a stick has one host; the one that has come last is alive
    socket.setNoDelay(true); // else each exchange costs 40 ms of Nagle against delayed acknowledgement
    this.socket = socket;
    this.settled = false;
    this.asked.clear();
    this.removing = undefined;
    for (const expected of this.controller.expectedHostACKs.splice(0)) expected.resolve();
    let buffer = Buffer.alloc(0);
    let abort;
    socket.on("data", (chunk) => {
      clearTimeout(abort);
      buffer = this.received(socket, Buffer.concat([buffer, chunk]));
      if (buffer.length) abort = setTimeout(() => (buffer = Buffer.alloc(0)), REST_OF_FRAME_MS);
    });
    socket.on("error", (error) => console.log("host:", error.message));
    socket.on("close", () => {
      clearTimeout(abort);
      if (this.socket !== socket) return;
      clearTimeout(this.quiet);
      this.socket = undefined;
      this.settled = false;
      this.event("host", { connected: false });
    });
    this.event("host", { connected: true });
  }

  /** Hand over every whole frame; returns what is left. */
  received(socket, buffer) {
    while (buffer.length) {
      if (buffer[0] !== SOF) {
        if (buffer[0] === ACK) void this.controller.serialOnData(ACK);
        else if (!HEADERS.has(buffer[0])) console.log("dropped a byte that begins no frame:", buffer[0]);
        buffer = buffer.subarray(1);
        continue;
      }
      if (buffer.length < 2 || buffer.length < buffer[1] + 2) break;
      const frame = Uint8Array.from(buffer.subarray(0, buffer[1] + 2));
      buffer = buffer.subarray(buffer[1] + 2);
      this.wait();
      if (aboutRoutes(frame, (bytes) => socket.write(bytes), (id) => this.reaches(id))) continue;
      const refused = (error) => console.log("host frame not taken:", String(error.message).slice(0, 300));
      this.exchange.run(socket, () => void this.controller.serialOnData(frame).catch(refused));
      this.controller.clearReceivedHostMessages(); // kept for assertions, for ever
    }
    return buffer;
  }

  /** A host that has asked every listening node something, and then nothing for a while, has got to know them all. */
  wait() {
    if (this.settled) return;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      const all = [...this.controller.nodes.values()].filter((node) => node.capabilities.isListening);
      if (!this.socket || !all.every((node) => this.asked.has(node.id))) return;
      this.settled = true;
      this.event("settled", {});
    }, QUIET_MS);
  }
}

module.exports = { Stick };
