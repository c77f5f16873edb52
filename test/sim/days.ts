import { type Act, acts } from "./client/acts.ts";
import { frameActs } from "./client/frame-acts.ts";
import type { Client } from "./client/client.ts";
import { taskActs } from "./client/task-acts.ts";
import { comeToRest } from "./rest.ts";
import type { Focus } from "./bug.ts";
import { Faults, noRestores, placeOf, strike } from "./faults.ts";
import { stormy } from "./weather.ts";
import type { World } from "./world.ts";

/** Days of work, each with other habits and another weather, and between them a night in which all has to come to rest. */

/** A day is long enough for all that takes time, and short enough that many of them fit in a run. */
const usualDay = 20_000;
/** Events between two looks at the tables as a whole. */
const checkEvery = 500;

export class Days {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #dayEvents: number;
  readonly #focus: Focus | null;
  readonly #restores: number;
  readonly #isWhole: boolean;
  readonly #acts: readonly Act[];
  #weights: number[] = [];
  /** Mean time between two acts of one process, and between two faults. */
  #thinkMs = 1_500;
  #faultMs = 4_000;
  #isDay = false;
  #hasRestores = false;
  #day = 0;

  /**
   * @param restores share of the days on which the coordinator goes back to older states, of those that may be so
   * @param isWhole with frames of several requests, and with load
   */
  constructor(world: World, dayEvents = usualDay, focus: Focus | null = null, restores = 0, isWhole = true) {
    this.#world = world;
    this.#isWhole = isWhole;
    this.#acts = isWhole ? acts : acts.filter((act) => !frameActs.includes(act));
    this.#focus = focus;
    this.#dayEvents = dayEvents;
    this.#restores = restores;
    this.#faults = new Faults(world, {
      later: (place, inMs) => this.#respawn(place, inMs),
      beside: (client, inMs) => this.#startBeside(client, inMs),
    });
    world.onEnd = (client) => this.#respawn(placeOf(client), world.sim.rng.between(200, 20_000));
  }

  /** Until so many events have happened, and all has come to rest after them. */
  async run(events: number): Promise<void> {
    const { sim } = this.#world;
    while (sim.events < events) {
      this.#dawn();
      await this.#until(Math.min(events, sim.events + this.#dayEvents));
      this.#isDay = false;
      await comeToRest(this.#world);
      this.#world.oracle.trim();
    }
  }

  async #until(events: number): Promise<void> {
    const { sim, oracle } = this.#world;
    let nextCheck = sim.events + checkEvery;
    while (sim.events < events && (await sim.step())) {
      if (sim.events < nextCheck) continue;
      nextCheck = sim.events + checkEvery;
      oracle.full.run();
    }
  }

  #dawn(): void {
    const { sim, host } = this.#world;
    const { rng } = sim;
    this.#day += 1;
    sim.note(() => `day ${this.#day}`);
    const { alarmVeryLate: _, sweepLimit: __, overload: ___, ...shares } = stormy;
    const rough = Object.entries(shares).map(([name, share]) => [name, share * rng.pick([0, 0.3, 1, 1, 2])]);
    host.weather = { ...stormy, ...Object.fromEntries(rough), sweepLimit: rng.pick([2, 20, 100]) };
    // Each day something is not done at all, and something far more often.
    const { acts: wanted = {}, faultMs, weather, forgets, bound, neglects } = this.#focus ?? {};
    this.#world.habits.forgets = forgets ?? rng.pick([0, 0.05, 0.1, 0.4]);
    this.#world.habits.neglects = neglects ?? rng.pick([0, 0.02, 0.05, 0.15]);
    this.#world.habits.isNight = false;
    this.#world.habits.bound = bound ?? rng.pick([0, 0.4, 0.8]);
    this.#drawRestores();
    this.#drawWeights(wanted);
    Object.assign(host.weather, weather);
    if (this.#isWhole) host.weather.overload = rng.pick([0, 0, 0.02, 0.2]);
    this.#thinkMs = rng.pick([400, 1_000, 2_500]);
    this.#faultMs = faultMs ?? rng.pick([1_500, 5_000, 20_000]);
    this.#isDay = true;
    for (let place = 0; place < this.#world.size.chats; place++) this.#respawn(place, rng.between(0, 3_000));
    this.#faultLater(this.#day);
  }

  #drawWeights(wanted: Readonly<Record<string, number>>): void {
    const { rng } = this.#world.sim;
    this.#weights = this.#acts.map((act) => {
      const weight = act.weight * (wanted[act.name] ?? rng.pick([0, 1, 1, 1, 2, 4]));
      return this.#hasRestores && taskActs.includes(act) ? 0 : weight;
    });
    this.#weights[0] = Math.max(1, this.#weights[0] ?? 0);
  }

  /** What becomes of tasks over a restore is not judged here: on such a day there are none. */
  #drawRestores(): void {
    const { sim, oracle } = this.#world;
    this.#hasRestores = oracle.tasks.tasks.size === 0 && sim.rng.chance(this.#restores);
    if (this.#hasRestores) this.#world.backUp();
  }

  #respawn(place: number, inMs: number): void {
    const day = this.#day;
    this.#world.sim.later(inMs, "process starts", () => {
      if (!this.#isDay || day !== this.#day) return false;
      return this.#tick(this.#world.spawn(place));
    });
  }

  #tick(client: Client): void {
    const { sim } = this.#world;
    client.later(sim.rng.between(1, 2 * this.#thinkMs), "act", () => {
      if (!this.#isDay || client.isLeaving) return;
      if (client.isUp) {
        const act = this.#acts[sim.rng.draw(this.#weights)];
        sim.note(() => `${client.name}: ${act?.name}`);
        act?.run(client, sim.rng);
      }
      this.#tick(client);
    });
  }

  /** Somebody takes it for dead while it only stands still. */
  #startBeside(client: Client, inMs: number): void {
    this.#world.sim.later(inMs, "process starts beside another", () => {
      if (!this.#isDay || !client.isPaused) return false;
      return this.#tick(this.#world.spawn(placeOf(client)));
    });
  }

  #faultLater(day: number): void {
    const { sim } = this.#world;
    sim.later(sim.rng.between(1, 2 * this.#faultMs), "fault", () => {
      if (!this.#isDay || day !== this.#day) return false;
      strike(this.#faults, this.#world, { ...this.#focus?.faults, ...(this.#hasRestores ? {} : noRestores) });
      return this.#faultLater(day);
    });
  }
}
