/** What the way from one object to another costs: a queue message, and a call of the other object, beside an empty call. */
import { ms, perSecond, range, ratio, sample, timed, type Row } from "../figures.ts";
import { EdgeRig } from "../edge/edge-rig.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { scaled } from "../size.ts";

const rounds = scaled(300);
const underWay = 100;
const kinds = { empty: "an empty call of the own object", hop: "a call of another object", queue: "a queue message" };

export async function hop(): Promise<Row[]> {
  const rig = await EdgeRig.open(false);
  const client = await rig.client("hopping");
  const times: Record<string, number[]> = {};
  for (let round = -5; round < rounds; round++) {
    for (const kind of Object.keys(kinds)) {
      const took = await timed(() => client.raw(kind));
      if (round >= 0) (times[kind] ??= []).push(took);
    }
  }
  const rates: Record<string, number> = {};
  for (const kind of Object.keys(kinds)) rates[kind] = await rateOf(client, kind);
  client.close();
  await rig.close();
  const empty = sample(times["empty"] ?? []).p50;
  return Object.entries(kinds).map(([kind, name]) => {
    const { p50, p99, n } = sample(times[kind] ?? []);
    return {
      group: "hop",
      n,
      name: `${name}, there and back, p50 / p99`,
      figure: `${ms(p50)} / ${ms(p99)}`,
      against: `${ratio(p50 / empty)} of the empty call; with ${underWay} under way ${perSecond(rates[kind] ?? NaN)}`,
    };
  });
}

/** All answers of one kind are alike, so their order does not matter. */
async function rateOf(client: WireClient, kind: string): Promise<number> {
  const each = Math.ceil(rounds / 10);
  const chain = async (): Promise<void> => {
    for (let n = 0; n < each; n++) await client.raw(kind);
  };
  const took = await timed(() => Promise.all(range(underWay, chain)));
  return (1_000 * each * underWay) / took;
}
