import { expect, it } from "vitest";
import { encodeContent, type FilesContent } from "#src/local-mcp/sync/content-schema.ts";
import { seal } from "#src/local-mcp/sync/envelope.ts";
import { fetchHeader } from "#src/local-mcp/sync/fetch-files.ts";
import { partName } from "#src/local-mcp/sync/prepare-files.ts";
import { readNotes } from "#src/local-mcp/sync/sync-status.ts";
import {
  aroundOf,
  deviceOf,
  heard,
  notReceived,
  received,
  save,
  stored,
  twoMachines,
} from "#harness/sync/file-sync.ts";

it("[SY85] [SY43] older files that are shown again are refused, as are changed, cut and mixed ones, and ones of another session", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  await one.sync.syncNow();
  const of = { session: "s1", device: deviceOf(one) };
  const old = [await stored(world, { ...of, part: 0 }), await stored(world, of)] as const;
  await world.time.pass(1_000);
  await save(both, "second");
  await save(both, "elsewhere", "s2");
  await one.sync.syncNow();
  const row = await heard(two);
  expect(row.content.files?.sent).not.toBe(null);
  // All of the older bundle, as it was.
  let asked = 0;
  world.twist = (name, answer) => (name === "sync.files" ? old[asked++ === 0 ? 1 : 0] : answer);
  expect(await notReceived(two, row)).toBe("refused");
  // The newer header with the older piece.
  asked = 0;
  world.twist = (name, answer) =>
    name === "sync.files" && asked++ > 0 ? { ...(answer as object), envelope: old[0].envelope } : answer;
  expect(await notReceived(two, row)).toBe("refused");
  // Any bit of it.
  for (const [which, change] of [
    [0, (text: string) => `${text.slice(0, 60)}${text[60] === "A" ? "B" : "A"}${text.slice(61)}`],
    [1, (text: string) => text.slice(0, -8)],
  ] as const) {
    asked = 0;
    world.twist = (name, answer) => {
      const { envelope } = answer as { envelope: string };
      return name === "sync.files" && asked++ === which
        ? { ...(answer as object), envelope: change(envelope) }
        : answer;
    };
    expect(await notReceived(two, row)).toBe("refused");
  }
  // One piece fewer than there are.
  world.twist = (name, answer) => (name === "sync.files" ? { ...(answer as object), parts: 1 } : answer);
  expect(await notReceived(two, row)).toBe("refused");
  // Those of another session.
  const foreign = await stored(world, { ...of, session: "s2" });
  world.twist = (name, answer) => (name === "sync.files" ? foreign : answer);
  expect(await notReceived(two, row)).toBe("refused");
  world.twist = (_name, answer) => answer;
  expect(two.runtime.store.read(readNotes, {}).refused).toBe(6);
  await received(two);
});

it("[SY85] a header that names other files than its session does is refused; files that were sealed after the session are taken", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  await one.sync.syncNow();
  const before = await heard(two);
  await world.time.pass(1_000);
  const second = await save(both, "second");
  await one.sync.syncNow();
  // The other machine has not heard of the session since.
  const header = await fetchHeader(aroundOf(two), before);
  expect(header).toMatchObject({ ok: true, value: { checkpoint: second } });
  if (!header.ok) return;
  const { bundle } = header.value;
  const forged: FilesContent = { ...header.value, digest: "0".repeat(64) };
  const around = aroundOf(two);
  const about = {
    workspace: "team",
    kind: "files",
    device: before.device,
    session: "s1",
    item: partName(bundle, 1, 2),
  } as const;
  const envelope = seal(around.keys.current, about, encodeContent(forged), two.runtime.random);
  world.twist = (name, answer) =>
    name === "sync.files" && envelope.ok ? { ...(answer as object), envelope: envelope.value } : answer;
  expect(await notReceived(two, await heard(two))).toBe("refused");
});
