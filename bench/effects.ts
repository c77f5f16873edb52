import { killFigures } from "../test/harness/effects/kill-model.ts";
import { scaled } from "./measure.ts";

const kills = scaled(1_000, 20);
/** Share of the running commands that go on when their client is killed. */
const outlives = [1, 0.7, 0];

/** What the guard before repeated effects asks and lets through, in the model of the tests. */
export function effects() {
  const on = outlives.map((one) => killFigures({ guard: "on", outlives: one }, kills, 1));
  const off = outlives.map((one) => killFigures({ guard: "off", outlives: one }, kills, 1));
  return {
    kills,
    repeated: Math.max(...on.map((one) => one.repeated)),
    repeatedOff: Math.max(...off.map((one) => one.repeated)),
    askedNeedlessly: Math.max(...on.map(({ needless, calls }) => needless / calls)),
  };
}
