// Blinds and valves, apart from the KNX stack that carries them: positions, travel, and an account of every telegram.
// Started as `node -r ./loopback.cjs STACK.cjs '{"connection": ..., "actuators": [...]}'`; tells JSON lines on stdout.
"use strict";
const STEP_MS = 250;

class Actuator {
  // manner: "well", "mute" (never tells), "wrong" (tells half of what it was told), "flood" (tells 50 times a second)
  constructor(spec, send) {
    Object.assign(this, { manner: "well", travelMs: 0, position: 0, goal: 0, telegrams: 0, changes: 0 }, spec);
    this.send = send;
    if (this.manner === "flood") setInterval(() => this.say(), 20);
  }
  take(address, raw) {
    if (address === this.command) this.go(Math.round((raw * 100) / 255));
    else if (address === this.upDown) this.go(raw & 1 ? 100 : 0);
    else if (address === this.stop) this.halt();
    else return;
    tell({ heard: this.id, address, raw, telegrams: this.telegrams, changes: this.changes });
  }
  go(goal) {
    this.telegrams += 1;
    if (goal !== this.goal) this.changes += 1;
    this.goal = goal;
    clearInterval(this.timer);
    if (!this.travelMs) { this.position = goal; this.say(); return; }
    const step = (100 / this.travelMs) * STEP_MS;
    this.timer = setInterval(() => {
      this.position += Math.max(-step, Math.min(step, goal - this.position));
      const there = Math.abs(this.position - goal) < 0.01;
      if (there) { clearInterval(this.timer); this.position = goal; tell({ arrived: this.id, position: goal }); }
      if (there || !this.saysOnlyWhenThere) this.say();
    }, STEP_MS);
  }
  halt() { clearInterval(this.timer); this.goal = Math.round(this.position); this.say(); }
  value() { return Math.round(this.manner === "wrong" ? this.position / 2 : this.position); }
  say() { if (this.manner !== "mute" && this.status) this.send(this.status, this.value(), false); }
  answer(address) { if (address === this.status && this.manner !== "mute") this.send(address, this.value(), true); }
}

function tell(message) { process.stdout.write(JSON.stringify(message) + "\n"); }

// `carry(order, heard)` joins a stack: heard(what, address, raw) is called for each telegram; it returns send(address, percent, isAnswer).
function run(carry) {
  const order = JSON.parse(process.argv[2]);
  const actuators = [];
  const send = carry(order.connection, (what, address, raw) => {
    for (const actuator of actuators) what === "read" ? actuator.answer(address) : actuator.take(address, raw);
  });
  for (const spec of order.actuators) actuators.push(new Actuator(spec, send));
  process.stdin.on("end", () => process.exit(0)).resume();  // whoever started us is gone
}

module.exports = { run, tell };
