"use strict";
// The packages of package.json are not installed beside this file, but where `atrium setup` puts what it fetches: $ZWAVE_MODULES.
const { createRequire } = require("node:module");
const path = require("node:path");

if (!process.env.ZWAVE_MODULES) {
  console.error("Error: ZWAVE_MODULES is not set: it names the folder that holds node_modules");
  process.exit(2);
}
module.exports = createRequire(path.join(process.env.ZWAVE_MODULES, "package.json"));
