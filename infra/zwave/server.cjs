"use strict";
// The embedded Z-Wave JS server: `node server.cjs`, all by environment variables, so that no key is ever on a command line.
//   ZWAVE_MODULES  folder that holds node_modules    ZWAVE_SERVER_SERIAL_PORT  the stick: /dev/serial/by-id/... or tcp://host:port
//   ZWAVE_SERVER_PORT  WebSocket port on loopback    ZWAVE_SERVER_CACHE        folder for what is known of the network
//   ZWAVE_SERVER_MOCK  1: the stick is mock.cjs      ZWAVE_S0_KEY, ZWAVE_S2_..., ZWAVE_LR_S2_...: the network's keys, those it has
// The package's own `zwave-server` insists on an S0 key and on a file for the rest.
const fs = require("node:fs");
const modules = require("./modules.cjs");
const { Driver, NodeStatus, ZWaveError, ZWaveErrorCodes, driverPresets } = modules("zwave-js");
const { ZwavejsServer } = modules("@zwave-js/server");
const { MultilevelSwitchCCSet } = modules("@zwave-js/cc");

const SECURITY_KEYS = {
  S0_Legacy: "ZWAVE_S0_KEY",
  S2_Unauthenticated: "ZWAVE_S2_UNAUTHENTICATED_KEY",
  S2_Authenticated: "ZWAVE_S2_AUTHENTICATED_KEY",
  S2_AccessControl: "ZWAVE_S2_ACCESS_CONTROL_KEY",
};
const LONG_RANGE_KEYS = {
  S2_Authenticated: "ZWAVE_LR_S2_AUTHENTICATED_KEY",
  S2_AccessControl: "ZWAVE_LR_S2_ACCESS_CONTROL_KEY",
};
const { env } = process;

/** The keys that are set; undefined where none is. They leave the environment, which the process's children would inherit. */
function keys(names) {
  const found = Object.entries(names).flatMap(([name, variable]) => {
    const hex = env[variable];
    delete env[variable];
    return hex ? [[name, Buffer.from(hex, "hex")]] : [];
  });
  return found.length ? Object.fromEntries(found) : undefined;
}

function say(level) {
  return (...words) => console.log(`[${level}]`, ...words.map((word) => word?.message ?? word));
}

const logger = { error: say("ERROR"), warn: say("WARNING"), info: () => undefined, debug: () => undefined };
let driver;
let server;

/** End with the connection to the stick: whoever started this process starts it again until the stick is back. */
async function end(code, why) {
  if (why) console.log(`Error: ${why}`);
  setTimeout(() => process.exit(code), 3000).unref();
  try {
    await server?.destroy();
    await driver?.destroy();
  } finally {
    process.exit(code);
  }
}

/**
 * zwave-js 15.29 keeps a node awake for good whose interview began while it slept: the second interview finds, and restores, what the
 * first one set.
 */
function letSleep(node) {
  const release = () => {
    node.keepAwake = false;
    driver.debounceSendNodeToSleep(node);
  };
  node.on("interview completed", () => setTimeout(release, 500).unref());
}

/**
 * zwave-js keeps what a node sleeps through until it wakes up. A level that nobody may want by then must not wait: the gateway has its own
 * queue, with the latest and while it is wanted.
 */
function letNoLevelWait() {
  const mayWait = driver.mayMoveToWakeupQueue.bind(driver);
  const send = driver.sendMessage.bind(driver);
  driver.mayMoveToWakeupQueue = (transaction) => !isLevelSet(transaction.message.command) && mayWait(transaction);
  driver.sendMessage = async (message, options) => {
    if (isLevelSet(message.command) && driver.tryGetNode(message)?.status === NodeStatus.Asleep) {
      throw new ZWaveError("The node is asleep", ZWaveErrorCodes.Controller_MessageDropped);
    }
    return await send(message, options);
  };
}

function isLevelSet(command) {
  let inner = command;
  while (inner?.encapsulated) inner = inner.encapsulated;
  return inner instanceof MultilevelSwitchCCSet;
}

async function main() {
  const mock = env.ZWAVE_SERVER_MOCK === "1";
  fs.mkdirSync(env.ZWAVE_SERVER_CACHE, { recursive: true, mode: 0o700 });
  driver = new Driver(
    env.ZWAVE_SERVER_SERIAL_PORT,
    {
      storage: { cacheDir: env.ZWAVE_SERVER_CACHE },
      logConfig: { enabled: true, level: "warn", forceConsole: true, showLogo: false },
      securityKeys: keys(SECURITY_KEYS),
      securityKeysLongRange: keys(LONG_RANGE_KEYS),
      // A node that does not acknowledge holds up all others for an attempt. The gateway tries again itself, with pauses for them.
      attempts: { sendData: 1 },
      disableOptimisticValueUpdate: true, // a level is what a node says that it is, not what it was told
      bootloaderMode: "stay",
    },
    // The simulated stick is one that is started again, not reset.
    ...(mock ? [driverPresets.NO_CONTROLLER_RECOVERY, driverPresets.NO_WATCHDOG] : []),
  );
  letNoLevelWait();
  // zwave-js would open the port again, with the command that was under way still waiting, for up to 65 s, and all others behind it.
  driver.handleSerialPortClosedUnexpectedly = async () => await end(1, "the connection to the stick was lost");
  driver.on("error", (error) => {
    if (error.code === ZWaveErrorCodes.Driver_Failed) void end(1, error.message);
    else logger.error(error);
  });
  driver.once("driver ready", async () => {
    for (const node of driver.controller.nodes.values()) letSleep(node);
    driver.controller.on("node added", letSleep);
    const port = Number(env.ZWAVE_SERVER_PORT);
    server = new ZwavejsServer(driver, { port, host: "127.0.0.1", enableDNSServiceDiscovery: false, logger });
    await server.start(true);
    console.log(`Z-Wave network ${driver.controller.homeId?.toString(16)} on ws://127.0.0.1:${env.ZWAVE_SERVER_PORT}`);
  });
  await driver.start();
}

for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => void end(0));
main().catch((error) => void end(1, error.message));
