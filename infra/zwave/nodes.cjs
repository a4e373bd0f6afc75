"use strict";
// The simulated nodes: what they can, what they hold, and how they misbehave when told to. zwave-js's mock node answers for them as
// far as it can; here is what it lacks: battery, wake-up, notifications' state, one level for each channel, Sets that are counted.
const modules = require("./modules.cjs");
const cc = modules("@zwave-js/cc");
const { CommandClasses, Duration } = modules("@zwave-js/core");
const { MockNode, MockZWaveFrameType, createMockZWaveRequestFrame } = modules("@zwave-js/testing");
const { createDefaultMockNodeBehaviors } = modules("zwave-js/Testing");

const FULL = 99;
const LEVEL = "MultilevelSwitch_currentValue"; // where zwave-js's mock dimmer keeps its level
const MOTION = { type: 0x07, event: 0x08 }; // Home Security: motion detected, location not given
const BINARY_MOTION = 0x0c;
const SENSORS = {
  temperature: [0x01, 0], illuminance: [0x03, 1], humidity: [0x05, 0], co2: [0x11, 0], ultraviolet: [0x1b, 0], // SDS13781: type, scale
};
const FAHRENHEIT = 1;
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400].map((seconds) => [seconds >> 16, (seconds >> 8) & 0xff, seconds & 0xff]);
const WAKE_UP = { intervalReport: 0x06, notification: 0x07, noMore: 0x08, capabilitiesReport: 0x0a };
const AWAKE_MS = 10_000;
const GETS = [cc.MultilevelSensorCCGet, cc.BinarySensorCCGet, cc.NotificationCCGet, cc.BatteryCCGet, cc.MultilevelSwitchCCGet];

class Node {
  /** A node from its description (see tests/integration/zwave/mock.py and infra/zwave/parts.py). */
  constructor(description, controller, event) {
    this.description = description;
    this.controller = controller;
    this.event = event;
    this.dead = false;
    this.diesAfterSet = false;
    this.awake = !description.sleeping;
    this.lateMs = 0;
    this.frames = 0;
    this.changes = 0;
    this.gets = 0;
    this.durations = [];
    this.values = { temperature: 21.5, humidity: 45, illuminance: 320, motion: false, battery: 100, ...description.values };
    this.channels = new Map(); // endpoint -> the state and the target of its dimmer
  }

  /** A node that is in the network. */
  static async create(description, controller, event) {
    const node = new Node(description, controller, event);
    const mock = await MockNode.create({ id: node.id, controller, capabilities: node.capabilities() });
    mock.defineBehavior(...createDefaultMockNodeBehaviors());
    node.animate(mock);
    controller.addNode(mock);
    return node;
  }

  /** A node that joins once the host lets it. */
  static pending(description, controller, event) {
    const node = new Node(description, controller, event);
    controller.nodePendingInclusion = { id: node.id, capabilities: node.capabilities(), setup: (mock) => node.animate(mock) };
    return node;
  }

  get id() {
    return this.description.id;
  }

  get isDimmer() {
    return this.description.kind === "dimmer";
  }

  /** Put what this node does before and around what zwave-js's mock node does by default. */
  animate(mock) {
    this.mock = mock;
    this.stock = mock.behaviors.filter((behavior) => behavior.handleCC);
    mock.defineBehavior({
      handleCC: (_controller, _self, command) => this.handle(command),
      transformResponse: async (_controller, _self, _command, response) => {
        if (this.lateMs) await new Promise((done) => setTimeout(done, this.lateMs));
        return response;
      },
    });
    const hear = mock.onControllerFrame.bind(mock);
    mock.onControllerFrame = async (frame) => {
      mock.clearReceivedControllerFrames(); // kept for assertions, for ever
      mock.clearSentControllerFrames();
      if (this.dead || !this.awake) return;
      if (this.diesAfterSet && frame.type === MockZWaveFrameType.Request && isSet(frame.payload)) this.dead = true;
      await hear(frame);
    };
    const say = mock.sendToController.bind(mock);
    mock.sendToController = async (frame) => (this.dead ? undefined : await say(frame));
  }

  capabilities() {
    const { sleeping, supervision, manufacturerId = 0xffff, productType = 0xffff, productId = 0xfffe } = this.description;
    const commandClasses = [
      { ccId: CommandClasses["Z-Wave Plus Info"], version: 2 },
      { ccId: CommandClasses["Manufacturer Specific"], version: 1 },
      { ccId: CommandClasses.Version, version: 2 },
      ...(supervision ? [{ ccId: CommandClasses.Supervision, version: 1 }] : []),
      ...(sleeping ? [{ ccId: CommandClasses["Wake Up"], version: 2 }] : []),
      ...(this.isDimmer ? this.dimmerClasses() : this.sensorClasses()),
    ];
    return {
      isListening: !sleeping, isFrequentListening: false, txDelay: 0,
      manufacturerId, productType, productId, firmwareVersion: this.description.firmware ?? "1.0",
      genericDeviceClass: this.isDimmer ? 0x11 : 0x21, // Multilevel Switch, Multilevel Sensor
      specificDeviceClass: 0x01, // Multilevel Power Switch, Routing Multilevel Sensor
      commandClasses,
      endpoints: this.isDimmer ? this.gangs().map(() => ({ commandClasses: this.dimmerClasses().slice(0, 1) })) : [],
    };
  }

  gangs() {
    const count = this.description.endpoints ?? 0;
    return count > 1 ? Array.from({ length: count }, (_, index) => index + 1) : [];
  }

  dimmerClasses() {
    const several = this.gangs().length ? [{ ccId: CommandClasses["Multi Channel"], version: 4 }] : [];
    return [{ ccId: CommandClasses["Multilevel Switch"], version: 4, defaultValue: 0, travelTime: 0 }, ...several];
  }

  sensorClasses() {
    const sensors = Object.keys(SENSORS).filter((name) => this.values[name] !== undefined);
    return [
      {
        ccId: CommandClasses["Multilevel Sensor"], version: 11,
        sensors: Object.fromEntries(sensors.map((name) => [SENSORS[name][0], { supportedScales: [this.reading(name).scale] }])),
        getValue: (type) => this.reading(sensors.find((name) => SENSORS[name][0] === type)).value,
      },
      this.description.binary
        ? {
            ccId: CommandClasses["Binary Sensor"], version: 2,
            supportedSensorTypes: [BINARY_MOTION], getValue: () => this.values.motion,
          }
        : {
            ccId: CommandClasses.Notification, version: 8, supportsV1Alarm: false,
            notificationTypesAndEvents: { [MOTION.type]: [MOTION.event] },
          },
      { ccId: CommandClasses.Battery, version: 1 },
    ];
  }

  /** A Multilevel Sensor's value as the node sends it. Temperatures are told to it in Celsius, whatever it speaks. */
  reading(name) {
    const [type, usual] = SENSORS[name];
    const scale = this.description.scales?.[name] ?? usual;
    if (name !== "temperature" || !this.description.fahrenheit) return { type, scale, value: this.values[name] };
    return { type, scale: FAHRENHEIT, value: Math.round((this.values[name] * 1.8 + 32) * 10) / 10 };
  }

  channel(endpoint) {
    if (!this.channels.has(endpoint)) {
      const level = this.description.level ?? 0;
      this.channels.set(endpoint, { state: new Map([[LEVEL, level]]), target: level });
    }
    return this.channels.get(endpoint);
  }

  handle(command) {
    if (GETS.some((get) => command instanceof get)) this.gets += 1;
    const to = { nodeId: this.controller.ownNodeId };
    if (command instanceof cc.NotificationCCGet) return { action: "sendCC", cc: this.motionReport() };
    if (command instanceof cc.BatteryCCGet) return { action: "sendCC", cc: this.batteryReport() };
    if (command.ccId === CommandClasses["Wake Up"]) return this.handleWakeUp(command, to);
    if (command.ccId === CommandClasses["Multilevel Switch"]) return this.handleDimmer(command);
    if (command.ccId === CommandClasses["All Switch"] && command.ccCommand === 2) {
      // Only OpenZWave asks (Switch All Get), and its interview waits for the answer: takes part in all on and all off.
      const report = { ...to, ccId: command.ccId, ccCommand: 3, payload: Buffer.from([0xff]) };
      return { action: "sendCC", cc: new cc.CommandClass(report) };
    }
  }

  handleWakeUp(command, to) {
    const answer = (ccCommand, bytes) => {
      const report = { ...to, ccId: command.ccId, ccCommand, payload: Buffer.from(bytes) };
      return { action: "sendCC", cc: new cc.CommandClass(report) };
    };
    if (command instanceof cc.WakeUpCCIntervalGet) return answer(WAKE_UP.intervalReport, [...HOUR, to.nodeId]);
    if (command instanceof cc.WakeUpCCIntervalCapabilitiesGet)
      return answer(WAKE_UP.capabilitiesReport, [...MINUTE, ...DAY, ...HOUR, ...MINUTE]); // least, most, default, steps
    if (command.ccCommand === WAKE_UP.noMore) this.sleep();
    return { action: "ok" };
  }

  /** zwave-js's mock dimmer, once for each channel, and with the Set's own duration, which it does not heed. */
  async handleDimmer(command) {
    const endpoint = command.endpointIndex ?? 0;
    const channel = this.channel(endpoint);
    let travelTime = this.description.travelMs ?? 0;
    if (command instanceof cc.MultilevelSwitchCCSet) {
      travelTime = this.counted(command, channel, endpoint) ?? travelTime;
    }
    const gang = Object.create(this.mock, {
      state: { value: channel.state },
      getCCCapabilities: { value: (ccId) => ({ ...this.mock.getCCCapabilities(ccId, endpoint), travelTime }) },
    });
    for (const behavior of this.stock) {
      const response = await behavior.handleCC(this.controller, gang, command);
      if (response) return response;
    }
  }

  /** Count a Set; the full travel's time that makes this one last as long as the Set asks, undefined where it asks for none. */
  counted(command, channel, endpoint) {
    const level = command.targetValue;
    const seconds = command.duration?.unit === "default" ? undefined : command.duration?.toMilliseconds();
    const way = Math.abs(level - (channel.state.get(LEVEL) ?? 0));
    this.frames += 1;
    this.durations = [...this.durations.slice(-19), seconds === undefined ? "default" : seconds / 1000];
    if (level !== channel.target) this.changes += 1;
    channel.target = level;
    this.event("level", { node: this.id, endpoint, level });
    return seconds === undefined || !way ? undefined : (seconds * FULL) / way;
  }

  /** Somebody turns the dimmer itself; unless `push` is false the node reports it. */
  async hand(level, endpoint, push) {
    const channel = this.channel(endpoint);
    channel.state.set(LEVEL, level);
    channel.target = level;
    if (push === false) return;
    this.event("level", { node: this.id, endpoint, level });
    const to = { nodeId: this.controller.ownNodeId };
    const report = { ...to, currentValue: level, targetValue: level, duration: new Duration(0, "seconds") };
    await this.say(new cc.MultilevelSwitchCCReport(report), endpoint);
  }

  /** New values; unless `push` is false the node reports them. */
  async tell(values, endpoint, push) {
    Object.assign(this.values, values);
    if (push === false) return;
    for (const name of Object.keys(values)) {
      const to = { nodeId: this.controller.ownNodeId };
      if (name in SENSORS) await this.say(new cc.MultilevelSensorCCReport({ ...to, ...this.reading(name) }), endpoint);
      else if (name === "motion") await this.say(this.motionReport(), endpoint);
      else if (name === "battery") await this.say(this.batteryReport(), endpoint);
      else throw new Error(`no node tells a ${name}`);
    }
  }

  batteryReport() {
    return new cc.BatteryCCReport({ nodeId: this.controller.ownNodeId, level: this.values.battery });
  }

  motionReport() {
    const to = { nodeId: this.controller.ownNodeId };
    if (this.description.binary) return new cc.BinarySensorCCReport({ ...to, type: BINARY_MOTION, value: this.values.motion });
    const { type, event } = MOTION;
    return new cc.NotificationCCReport({
      ...to, notificationType: type, notificationStatus: 0xff, notificationEvent: this.values.motion ? event : 0x00,
      eventParameters: this.values.motion ? undefined : Buffer.from([event]),
    });
  }

  async wakeUp() {
    this.awake = true;
    clearTimeout(this.falling);
    this.falling = setTimeout(() => this.sleep(), AWAKE_MS);
    const notification = { nodeId: this.controller.ownNodeId, ccId: CommandClasses["Wake Up"], ccCommand: WAKE_UP.notification };
    await this.say(new cc.CommandClass(notification), 0);
  }

  sleep() {
    clearTimeout(this.falling);
    this.awake = !this.description.sleeping;
  }

  /** Send a command by itself, from one of its channels where it has several. */
  async say(command, endpoint) {
    const channel = { nodeId: command.nodeId, endpointIndex: endpoint, destination: 0, encapsulated: command };
    const whole = endpoint ? new cc.MultiChannelCCCommandEncapsulation(channel) : command;
    await this.mock.sendToController(createMockZWaveRequestFrame(whole, { ackRequested: false }));
  }

  /** What happened to it so far. */
  get counts() {
    const { frames, changes, durations, gets, awake } = this;
    if (!this.isDimmer) return { gets, awake };
    const levels = Object.fromEntries([...this.channels].map(([endpoint, { state }]) => [endpoint, state.get(LEVEL)]));
    const { state, target } = this.channel(0);
    return { frames, changes, durations, gets, awake, level: state.get(LEVEL), target, levels };
  }
}

function isSet(command) {
  return command instanceof cc.MultilevelSwitchCCSet || (command?.encapsulated !== undefined && isSet(command.encapsulated));
}

module.exports = { Node };
