"use strict";
// What a stick does for its network and zwave-js's mock controller does not: finding routes anew, and ending an inclusion that nobody
// came to (a real stick answers that with Done, the mock with Failed, which a host takes for an inclusion that it cannot stop).
const modules = require("./modules.cjs");
const { AddNodeStatus, AddNodeToNetworkRequest, AddNodeToNetworkRequestStatusReport, AddNodeType } =
  modules("@zwave-js/serial/serialapi");

const STEP_MS = 20;
const [SOF, ACK, REQUEST, RESPONSE] = [0x01, 0x06, 0x00, 0x01];
const [ASSIGN_RETURN_ROUTE, DELETE_RETURN_ROUTE, REQUEST_NODE_NEIGHBOR_UPDATE] = [0x46, 0x47, 0x48];
const ROUTE_FUNCTIONS = [ASSIGN_RETURN_ROUTE, DELETE_RETURN_ROUTE, REQUEST_NODE_NEIGHBOR_UPDATE];
const UPDATE = { started: 0x21, done: 0x22, failed: 0x23 };
const TRANSMIT = { ok: 0x00, noAck: 0x01 };

/** A controller's behaviour; zwave-js's own does the rest, and ends an inclusion to which somebody came. */
const stopsIncluding = {
  async onHostMessage(controller, message) {
    if (!(message instanceof AddNodeToNetworkRequest) || message.addNodeType !== AddNodeType.Stop) return false;
    if (controller.nodePendingInclusion) return false;
    controller.state.delete("inclusionState");
    const { callbackId } = message;
    if (callbackId) {
      await controller.sendMessageToHost(new AddNodeToNetworkRequestStatusReport({ callbackId, status: AddNodeStatus.Done, nodeId: 0 }));
    }
    return true;
  },
};

/** Answer a host's frame about routes by `send(bytes)`; whether it was one. zwave-js cannot read them. `reaches(id)`: whether a node answers. */
function aboutRoutes(frame, send, reaches) {
  const [, , , functionType, node] = frame;
  if (!ROUTE_FUNCTIONS.includes(functionType)) return false;
  const callback = frame.at(-2);
  const updates = functionType === REQUEST_NODE_NEIGHBOR_UPDATE;
  const say = (...bytes) => {
    const body = [bytes.length + 2, bytes[0], functionType, ...bytes.slice(1)];
    send(Uint8Array.from([SOF, ...body, body.reduce((sum, byte) => sum ^ byte, 0xff)]));
  };
  send(Uint8Array.of(ACK));
  if (updates) say(REQUEST, callback, UPDATE.started);
  else say(RESPONSE, 0x01);
  setTimeout(() => {
    if (updates) say(REQUEST, callback, reaches(node) ? UPDATE.done : UPDATE.failed);
    else say(REQUEST, callback, reaches(node) ? TRANSMIT.ok : TRANSMIT.noAck);
  }, STEP_MS);
  return true;
}

module.exports = { ROUTE_FUNCTIONS, aboutRoutes, stopsIncluding };
