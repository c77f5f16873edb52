import { expect, it } from "vitest";
import { readEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { aCliHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";

function tokensOf(home: CliHome): { readonly token: string; readonly adminToken: string } {
  const edge = readEdgeConfig(home.paths.home);
  if (!edge.ok || !edge.value) throw new Error("the machine has joined no workspace");
  const { token, adminToken = "" } = edge.value;
  return { token, adminToken };
}

it("a machine takes up the new signing secret with all its tokens, and works when the old one is gone", async () => {
  const first = await EdgeRuntime.open();
  const home = aCliHome();
  const { workspace } = first;
  const { token } = await first.call("tokens.create", { machine: "m1", scope: "work" });
  const old = { token, adminToken: first.adminToken };
  const present = { SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens" };
  const bindings = { ...present, SHIM_PREVIOUS_SIGNING_SECRET: first.secrets.SHIM_SIGNING_SECRET };
  const both = await EdgeRuntime.open({ beside: first, bindings });
  home.join(both.url, { workspace, ...old });
  expect(await home.shim("workspace rotate-secret")).toMatchObject(
    printed("work and admin tokens are signed", "the previous secret can be deleted"),
  );
  const renewed = tokensOf(home);
  expect(await home.json("workspace rotate-secret")).toEqual({ renewed: ["work", "admin"], others: [] });
  expect(tokensOf(home)).toEqual(renewed);

  const alone = await EdgeRuntime.open({ beside: first, bindings: present });
  home.join(alone.url, { workspace, ...renewed });
  expect(await home.shim("team settings set maxConcurrentChats", "7")).toMatchObject({ code: 0 });
  expect(await home.shim("task submit", "build")).toMatchObject({ code: 0 });
  home.join(alone.url, { workspace, ...old });
  expect(await home.shim("task submit", "build")).toMatchObject(failed(1, "token"));
});

it("a machine without the admin token renews its own, and one that has joined nothing says so", async () => {
  const runtime = await EdgeRuntime.open();
  const home = aCliHome();
  expect(await home.shim("workspace rotate-secret")).toMatchObject({ code: 3 });
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  home.join(runtime.url, { workspace: runtime.workspace, token });
  expect(await home.json("workspace rotate-secret")).toEqual({ renewed: ["work"], others: null });
});
