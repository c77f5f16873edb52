import { expect, it } from "vitest";
import type { CoordinatorClient } from "#src/coordinator-client/client.ts";
import { ChatDirectory, createNaming } from "#src/machine/team/chat-directory.ts";
import { err, ok } from "#src/shared/result.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const [one, other] = ["aaaa1111-0000-4000-8000-000000000001", "aaaa1111-0000-4000-8000-000000000002"] as const;

it("a chat of another machine is asked for once a minute, and keeps its last name where nobody answers", async () => {
  const runtime = tempRuntime();
  const asked: string[] = [];
  let metadata: object | null = null;
  const call = async (_: string, { chat }: { readonly chat: string }) => {
    asked.push(chat);
    return metadata === null ? err({ code: "offline" }) : ok({ chat, machine: "m2", client: "codex", metadata });
  };
  const link = { call } as unknown as CoordinatorClient;
  const naming = createNaming(runtime, { workspace: "team", machine: "m1", edge: null });
  const directory = new ChatDirectory(runtime, () => link, "m1", naming);
  const unknown = { name: "aaaa1111", machine: "", checkout: "", waiting: null };
  expect(await directory.identify(one)).toEqual(unknown);
  metadata = { title: "fix\nit", checkout: "/p" };
  const known = { name: "fix it", machine: "m2", checkout: "/p", waiting: null };
  expect(await directory.identify(one)).toEqual(known);
  metadata = null;
  runtime.wait(59_999);
  expect([await directory.identify(one), asked.length]).toEqual([known, 2]);
  runtime.wait(1);
  expect([await directory.identify(one), asked.length]).toEqual([known, 3]);
  expect(await directory.identify(other)).toEqual({ ...unknown, name: other });
  metadata = { title: 7, checkout: null };
  expect(await directory.identify(other)).toEqual({ ...unknown, name: `codex ${other}`, machine: "m2" });
});
