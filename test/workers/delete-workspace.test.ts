import { expect } from "vitest";
import { dump, it, TestWorkspace, wait } from "./support.ts";

it("a deleted workspace leaves nothing: no row, no alarm, no token, no connection; its name is free", async ({
  workspace,
}) => {
  const { connection } = await workspace.join("c1");
  await workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
  const closed = connection.closed;
  expect(await workspace.ask("workspace.delete", { name: workspace.name })).toEqual({ isDeleted: true });
  expect(await closed).toMatchObject({ code: 4001 });
  expect(await workspace.inside((state) => dump(state))).toBe("[]");
  expect(await workspace.alarmAt()).toBeNull();
  expect(await workspace.refusal("health", {})).toBe("unknown_workspace");
  wait(60_000);
  const again = await TestWorkspace.create(workspace.name);
  expect(await again.ask("tasks.list", {})).toMatchObject({ tasks: [] });
  expect(await workspace.refusal("health", {})).toBe("unauthenticated");
});

it("another name, or another token than an admin's, deletes nothing", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  expect(await workspace.refusal("workspace.delete", { name: "another" })).toBe("bad_input");
  expect(await workspace.refusal("workspace.delete", { name: workspace.name }, token)).toBe("forbidden");
  expect(await workspace.ask("health", {})).toMatchObject({ chats: 0 });
});
