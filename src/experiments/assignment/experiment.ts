/** The default assignment: local, deterministic, without network. Pure. */
import { type Name, toName, type Unit } from "./names.ts";
import { sha256 } from "./sha256.ts";

export interface Experiment {
  readonly name: Name;
  /** Another salt splits the units in another way. */
  readonly salt: Name;
  /** Share of the units that are in the experiment, 0 to 1. */
  readonly share: number;
  /** Control first; weights are above 0. */
  readonly arms: readonly [control: Arm, ...others: Arm[]];
}

export interface Arm {
  readonly name: Name;
  readonly weight: number;
}

/** @throws {RangeError} for names, shares or weights that are none */
export function defineExperiment(settings: {
  readonly name: string;
  readonly salt: string;
  readonly share: number;
  readonly arms: readonly { readonly name: string; readonly weight: number }[];
}): Experiment {
  const { name, salt, share } = settings;
  const [control, ...others] = settings.arms.map((arm) => ({ name: toName(arm.name), weight: arm.weight }));
  if (control === undefined || others.length === 0) throw new RangeError("An experiment has two arms at least.");
  if (!(share >= 0 && share <= 1)) throw new RangeError(`A share is 0 to 1, not ${share}.`);
  const arms = [control, ...others] as const;
  if (arms.some(({ weight }) => !(weight > 0 && weight < Infinity))) throw new RangeError("A weight is above 0.");
  if (new Set(arms.map((arm) => arm.name)).size < arms.length) throw new RangeError("Two arms have the same name.");
  if (arms.some((arm) => arm.name === "off")) throw new RangeError('An arm has another name than "off".');
  return { name: toName(name), salt: toName(salt), share, arms: [control, ...others] };
}

/**
 * The arm of a unit; null where it is not in the experiment. A larger share adds units and moves
 * none, and a unit keeps its arm as long as salt and weights stay.
 */
export function chooseArm({ name, salt, share, arms }: Experiment, unit: Unit): Name | null {
  if (fractionOf(`share:${name}:${salt}:${unit}`) >= share) return null;
  const total = arms.reduce((sum, { weight }) => sum + weight, 0);
  let left = fractionOf(`arm:${name}:${salt}:${unit}`) * total;
  const chosen = arms.find(({ weight }) => (left -= weight) < 0);
  return (chosen ?? arms[0]).name;
}

/** At least 0, below 1. */
function fractionOf(text: string): number {
  const [high = 0, low = 0] = sha256(text);
  return (high * 2 ** 20 + (low >>> 12)) / 2 ** 52;
}
