import { expect } from "vitest";
import { it, type Joined } from "./support.ts";

async function methods({ connection }: Joined): Promise<unknown[]> {
  return (await connection.told()).map(({ method }) => method);
}

it("[SY101] a push is hinted to the chats of other machines, once for several, and its repeat and refusal are not", async ({
  workspace,
}) => {
  const { token } = await workspace.tokenOf("work", "m2");
  const [other, own] = [await workspace.join("c1"), await workspace.join("c2", { machine: "m2" })];
  const { epoch } = await workspace.ask("sync.begin", { device: "d2", keyId: "0123456789abcdef" }, token);
  const push = (seq: number): unknown => {
    const op = { seq, hash: "a".repeat(64), kind: "session" as const, session: `s${seq}`, ageMs: 0, envelope: "AAAA" };
    return workspace.call("sync.push", { device: "d2", epoch, ops: [op] }, token);
  };
  await push(7);
  expect(await methods(other)).toEqual([]);
  await push(1);
  expect(await methods(other)).toEqual(["sync.changed"]);
  for (const seq of [1, 2, 3]) await push(seq);
  expect(await methods(other)).toEqual([]);
  expect(await methods(own)).toEqual([]);
  const late = await workspace.join("c3");
  await push(3);
  expect(await methods(late)).toEqual([]);
  await push(4);
  expect(await methods(late)).toEqual(["sync.changed"]);
});
