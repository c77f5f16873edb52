import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";
import type { OperationContext } from "#src/machine/operations/operation-context.ts";
import { OperationRunner } from "#src/local-mcp/host/operation-runner.ts";
import type { Paths } from "#src/platform/paths.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function aContext(runtime: () => Promise<Runtime>, paths: Paths): OperationContext {
  const loaded = async () => ({ runtime: await runtime(), driver: "node:sqlite", fallbackReason: null }) as const;
  const site = aCliHome().io({ runQuietly: () => ({ code: 0, text: '"1.0.0"' }) });
  return { paths, site, loaded, runtime };
}

function aHost(runtime = tempRuntime()): OperationRunner {
  const host = new OperationRunner(aContext(() => Promise.resolve(runtime), runtime.paths));
  onTestFinished(() => host.close());
  return host;
}

it.for(machineOperationNames)("%s does its example, and its answer is the declared output", async (name) => {
  const { example, output, errors } = machineOperations[name];
  const answer = await aHost().call(name, example);
  // The store has no id of an example and no sessions for a trial, no example has a secret, and no
  // setting is changed.
  const usual = errors.filter((code) => /^not_found$|^no_edge$|_needed$|^cannot_end$|^switched_off$/.test(code));
  if (!answer.ok) return expect(usual).toContain(answer.error.code);
  expect(answer.ok && output.safeParse(answer.value)).toMatchObject({ success: true, data: answer.ok && answer.value });
});

function refused(message: string): object {
  return { error: { code: "bad_input", message: expect.stringContaining(message) as string } };
}

it("a host refuses wrong input, an unusable file and a store that cannot be opened, with a reason", async () => {
  const runtime = tempRuntime();
  const usage = await aHost(runtime).call("usage.list", { by: "hour" as never });
  expect(usage).toMatchObject(refused("usage.list: by: one of day, session, project, model, task."));
  const setting = await aHost(runtime).call("config.get", { key: "recover" });
  expect(setting).toMatchObject(refused('there is no setting "recover"'));
  mkdirSync(dirname(runtime.paths.config), { recursive: true });
  writeFileSync(runtime.paths.config, "{");
  expect(await aHost(runtime).call("config.show", {})).toMatchObject({ ok: false, error: { code: "config_invalid" } });
  const full = new StoreError("store_full", "the disk is full; free some space, then try again.");
  const host = new OperationRunner(aContext(() => Promise.reject(full), runtime.paths));
  const error = { code: "store_full", message: full.message };
  expect(await host.call("pauses.list", {})).toEqual({ ok: false, error });
});
