// The live page: one stream of pictures in, intents out. No framework: each card is built once and then only its texts change.

const READINGS = [
  { kind: "temperature_c", label: "Temp.", icon: "temperature", unit: "°C", digits: 1 },
  { kind: "humidity_pct", label: "Humidity", icon: "humidity", unit: "%", digits: 0 },
  { kind: "illuminance_lx", label: "Light", icon: "light", unit: "lx", digits: 0 },
];
// Blinds are shown in percent open, as people speak of them; the building's own unit is percent closed.
const same = (pct) => pct;
const CONTROLS = {
  closed_pct: { label: "Blind", icon: "blind", low: "Close", high: "Open", turn: (pct) => 100 - pct, says: (v) => (v === 0 ? "closed" : v === 100 ? "open" : `${v} % open`) },
  valve_pct: { label: "Radiator", icon: "radiator", low: "Off", high: "Max", turn: same, says: (v) => `${v} %` },
  level_pct: { label: "Light", icon: "lamp", low: "Off", high: "On", turn: same, says: (v) => (v === 0 ? "off" : `${v} %`) },
};
const PEOPLE = { occupied: "Occupied", vacant: "Empty", unknown: "Unknown" };
const SLOTS = { safety: "Safety", protection: "Protection", manual: "By hand", schedule: "Schedule", comfort: "Automatic", default: "At rest" };
const FLAGS = { out_of_range: "since then out of range", spike: "since then a jump that is not believed", stuck: "stuck, does not count" };
const SILENT_MS = 15_000; // three heartbeats
const ANSWER_MS = 10_000;

const $ = (id) => document.getElementById(id);
const cards = new Map();
let skew = 0; // server's clock less ours
let zone; // the room's: times are told by the building's clock, wherever the browser is
let heardAt = 0;
let source = null;

const now = () => Date.now() + skew;
const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone });
const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

function when(iso) {
  const day = (at) => new Date(at).toLocaleDateString([], { day: "numeric", month: "short", timeZone: zone });
  return day(iso) === day(now()) ? clock(iso) : `${day(iso)}, ${clock(iso)}`;
}

const ends = (hold) => (hold.ends === "relinquished" ? "until released" : hold.ends === "vacant" ? "until the room is empty" : `until ${when(hold.until_at)}`);

function build(template) {
  const root = $(template).content.firstElementChild.cloneNode(true);
  const fields = { root };
  for (const element of [root, ...root.querySelectorAll("[data-f]")]) if (element.dataset.f) fields[element.dataset.f] = element;
  return fields;
}

class Reading {
  constructor(what) {
    this.what = what;
    this.f = build("reading-template");
    this.f.icon.setAttribute("href", `#i-${what.icon}`);
    set(this.f.label, what.label);
  }

  show(reading, mean) {
    const text = (value) => value.toFixed(this.what.digits).replace(/^-0(\.0*)?$/, "0$1");
    set(this.f.value, reading ? text(reading.value) : "–");
    set(this.f.unit, reading ? this.what.unit : "");
    set(this.f.mean, mean ? `3 h avg ${text(mean.value)}` : "");
    const doubted = (reading?.sensors ?? []).filter((one) => one.flag !== "plausible");
    this.f.root.classList.toggle("old", Boolean(reading?.stale) || doubted.length > 0);
    this.f.root.title = reading ? reading.sensors.map((one) => `${one.name}: ${text(one.value)} ${this.what.unit}, ${clock(one.at)}${one.flag === "plausible" ? "" : ` (${FLAGS[one.flag] ?? one.flag})`}`).join("\n") : "no reading yet";
  }
}

class Control {
  constructor(card, actuator) {
    this.card = card;
    this.what = CONTROLS[actuator.kind];
    this.id = { kind: actuator.kind, device_id: actuator.device_id };
    this.f = build("control-template");
    this.waiting = null; // what was asked, until the room's picture contains it
    this.held = false; // a finger is on the slider
    const { low, high, slider, release, icon } = this.f;
    icon.setAttribute("href", `#i-${this.what.icon}`);
    set(low, this.what.low);
    set(high, this.what.high);
    low.addEventListener("click", () => this.ask(0));
    high.addEventListener("click", () => this.ask(100));
    release.addEventListener("click", () => this.ask(null));
    slider.addEventListener("input", () => { this.held = true; this.preview(); });
    slider.addEventListener("change", () => { this.held = false; this.ask(Number(slider.value)); });
    slider.addEventListener("blur", () => { this.held = false; });
  }

  get name() { return `${this.label} of ${this.card.view.name}`; }

  show(actuator, twins) {
    this.label = twins > 1 ? `${this.what.label} ${actuator.device_id}` : this.what.label;
    const percent = (pct) => (pct === null ? null : Math.round(this.what.turn(pct)));
    const reported = percent(actuator.reported_pct);
    const position = this.card.view.position;
    if (this.waiting?.position && position && position.offset >= this.waiting.position.offset) this.waiting = null;
    if (this.waiting && Date.now() > this.waiting.since + ANSWER_MS) this.waiting = null;
    const desired = this.waiting && this.waiting.value !== null ? this.waiting.value : percent(actuator.desired_pct);
    const busy = Boolean(actuator.pending) || this.waiting !== null;
    const manual = actuator.manual !== null;
    const f = this.f;

    set(f.label, this.label);
    f.root.setAttribute("aria-label", this.name);
    set(f.reported, reported === null ? "no report yet" : this.what.says(reported));
    set(f.target, desired !== null && desired !== reported ? `${busy ? "→" : "wanted"} ${this.what.says(desired)}` : this.waiting ? "…" : "");
    f.root.classList.toggle("pending", busy);
    f.root.classList.toggle("manual", manual);
    f.root.classList.toggle("urgent", ["safety", "protection"].includes(actuator.winner?.slot));
    f.slider.style.setProperty("--reported", `${reported ?? 0}%`);
    if (!this.held) f.slider.value = String(desired ?? reported ?? 0);
    f.slider.setAttribute("aria-label", `${this.name}, percent${this.id.kind === "closed_pct" ? " open" : ""}`);
    this.preview();
    f.low.setAttribute("aria-label", `${this.what.low}: ${this.name}`);
    f.high.setAttribute("aria-label", `${this.what.high}: ${this.name}`);
    f.low.setAttribute("aria-pressed", String(desired === 0));
    f.high.setAttribute("aria-pressed", String(desired === 100));

    f.release.hidden = !manual;
    f.release.setAttribute("aria-label", `Back to automatic: ${this.name}`);
    const winner = actuator.winner;
    set(f.slot, actuator.lock && winner?.slot === "protection" ? `Locked by ${actuator.lock.source}` : manual ? `Manual ${ends(actuator.manual)}` : winner ? SLOTS[winner.slot] ?? winner.slot : "Undecided");
    set(f.reason, actuator.why);
    const failed = !actuator.pending && !["unknown", "done"].includes(actuator.last_status);
    f.fault.hidden = !(failed || actuator.fault);
    set(f.fault, actuator.fault ? `Does not follow: ${actuator.fault}` : failed ? `Last command ${actuator.last_status}${actuator.last_reason ? `: ${actuator.last_reason}` : ""}${actuator.retry_at ? `; again at ${when(actuator.retry_at)}` : ""}` : "");
    this.showLosers(actuator.losers, percent);
  }

  showLosers(losers, percent) {
    this.f.others.hidden = losers.length === 0;
    set(this.f["others-title"], losers.length === 1 ? "1 other proposal" : `${losers.length} other proposals`);
    const texts = losers.map((one) => [`${SLOTS[one.slot] ?? one.slot}, ${this.what.says(percent(one.value_pct))}`, `: ${one.reason}${one.until_at ? ` (until ${when(one.until_at)})` : ""}`]);
    const signature = JSON.stringify(texts);
    if (signature === this.losers) return;
    this.losers = signature;
    this.f.losers.replaceChildren(...texts.map(([head, rest]) => {
      const item = document.createElement("li");
      const strong = document.createElement("b");
      strong.textContent = head;
      item.append(strong, rest);
      return item;
    }));
  }

  preview() {
    this.f.slider.setAttribute("aria-valuetext", this.what.says(Number(this.f.slider.value)));
    if (this.held) set(this.f.target, `→ ${this.what.says(Number(this.f.slider.value))}`);
  }

  async ask(value) {
    const asked = { value, since: Date.now(), position: null };
    this.waiting = asked;
    this.card.refresh();
    const body = { ...this.id, source: "page", ...(value === null ? { action: "release" } : { action: "set", value_pct: this.what.turn(value) }) };
    try {
      const url = `/v1/rooms/${encodeURIComponent(this.card.view.room_id)}/intents`;
      const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.detail || said.title);
      asked.position = said.position;
      toast(value === null ? `${this.name}: back to automatic` : `${this.name}: ${this.what.says(value)}`);
    } catch (error) {
      if (this.waiting === asked) this.waiting = null;
      toast(`${this.name} was not changed: ${error.message}`, true);
    }
    this.card.refresh();
  }
}

class Card {
  constructor() {
    this.f = build("room-template");
    this.readings = READINGS.map((what) => new Reading(what));
    this.f.readings.append(...this.readings.map((one) => one.f.root));
    this.controls = new Map();
  }

  show(view) {
    this.view = view;
    zone = view.time_zone;
    this.f.root.id = `room-${view.room_id}`;
    set(this.f.name, view.name);
    const people = view.occupancy;
    this.f.people.dataset.state = people?.state ?? "unknown";
    set(this.f.state, PEOPLE[people?.state] ?? "Unknown");
    for (const one of this.readings) one.show(view.readings[one.what.kind], view.averages[one.what.kind]);
    const seen = new Set();
    for (const actuator of view.actuators) {
      const key = `${actuator.kind}/${actuator.device_id}`;
      seen.add(key);
      if (!this.controls.has(key)) {
        this.controls.set(key, new Control(this, actuator));
        this.f.controls.append(this.controls.get(key).f.root);
      }
      this.controls.get(key).show(actuator, view.actuators.filter((one) => one.kind === actuator.kind).length);
    }
    for (const [key, control] of this.controls) {
      if (seen.has(key)) continue;
      control.f.root.remove();
      this.controls.delete(key);
    }
    this.tick();
  }

  refresh() { this.show(this.view); }

  tick() {
    const { occupancy, readings, actuators } = this.view;
    zone = this.view.time_zone;
    set(this.f.since, occupancy && occupancy.state !== "unknown" ? `since ${when(occupancy.since_at)}` : "");
    const known = Object.values(readings).filter((one) => one !== null);
    const newest = Math.max(...known.map((one) => Date.parse(one.at)));
    const old = known.length > 0 && known.every((one) => one.stale);
    this.f.age.classList.toggle("old", old);
    const recorded = this.view.clock === "recorded" && known.length > 0;
    if (recorded) set(this.f.age, `Recording, ${new Date(newest).toLocaleString([], { dateStyle: "medium", timeStyle: "short", timeZone: zone })}`);
    else set(this.f.age, known.length === 0 ? "No sensor has reported yet" : `${old ? "No reading for" : "Last reading"} ${span(now() - newest)}${old ? "" : " ago"}`);
    if (actuators.some((one) => this.controls.get(`${one.kind}/${one.device_id}`)?.waiting?.since < Date.now() - ANSWER_MS)) this.refresh();
  }
}

function room(view) {
  skew = Date.parse(view.now_at) - Date.now();
  if (!cards.has(view.room_id)) {
    const card = new Card();
    cards.set(view.room_id, card);
    $("rooms").append(card.f.root);
  }
  cards.get(view.room_id).show(view);
  summary();
}

function building(picture) {
  $("empty").hidden = picture.rooms.length > 0;
  set($("empty"), "The building has no rooms yet.");
  const there = new Set(picture.rooms.map((one) => one.room_id));
  for (const [id, card] of cards) {
    if (there.has(id)) continue;
    card.f.root.remove();
    cards.delete(id);
  }
  picture.rooms.forEach(room);
  const order = picture.rooms.map((one) => cards.get(one.room_id).f.root);
  if (order.some((root, index) => root !== $("rooms").children[index + 1])) $("rooms").append(...order);
  status(picture.status);
}

function summary() {
  const views = [...cards.values()].map((card) => card.view);
  const floors = [...new Set(views.map((view) => view.floor))];
  const busy = views.filter((view) => view.occupancy?.state === "occupied").length;
  const held = views.flatMap((view) => view.actuators).filter((one) => one.manual !== null).length;
  set($("summary"), `${floors.length === 1 ? `Floor ${floors[0]}` : `${floors.length} floors`} · ${busy} of ${views.length} rooms occupied${held ? ` · ${held} set by hand` : ""}`);
}

function status(said) {
  const behind = said.reasons.length > 0;
  link(behind ? "behind" : "live", behind ? "Behind" : "Live");
  $("banner").hidden = !behind;
  set($("banner"), behind ? `What you see may be old: ${said.reasons.join("; ")}.` : "");
}

function link(state, text) {
  $("link").dataset.state = state;
  set($("link-text"), text);
  document.body.classList.toggle("stale", state === "lost");
}

let toastTimer = 0;
function toast(text, failed = false) {
  $("toast").textContent = text;
  $("toast").className = `toast shown${failed ? " failed" : ""}`;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").className = "toast"; }, failed ? 8000 : 3500);
}

function follow() {
  source?.close();
  heardAt = Date.now();
  source = new EventSource("/v1/events");
  const on = (name, use) => source.addEventListener(name, (event) => { heardAt = Date.now(); use(JSON.parse(event.data)); });
  on("building", building);
  on("room", room);
  on("status", status);
  source.onerror = () => {
    const refused = source.readyState === EventSource.CLOSED; // a 503: the browser gives up, we do not
    link(cards.size ? "lost" : "connecting", cards.size ? "Reconnecting" : "Waiting for the building");
    if (refused) setTimeout(follow, 1500);
  };
}

setInterval(() => {
  for (const card of cards.values()) card.tick();
  if (source.readyState === EventSource.OPEN && Date.now() - heardAt > SILENT_MS) {
    link("lost", "Reconnecting");
    follow();
  }
}, 1000);
follow();
