// Both stacks leave internal interfaces out; these tests have nothing but loopback.
"use strict";
const os = require("os"), all = os.networkInterfaces;
os.networkInterfaces = () =>
  Object.fromEntries(Object.entries(all.call(os)).map(([name, each]) => [name, each.map((one) => ({ ...one, internal: false }))]));
