import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { given } from "#harness/coordinator/peers.ts";

export async function list(host: RuleHost, input: InputOf<"sync.list"> = {}): Promise<OutputOf<"sync.list">> {
  return given(await host.call("sync.list", input));
}

export async function envelopes(host: RuleHost, input: InputOf<"sync.list"> = {}): Promise<string[]> {
  return (await list(host, input)).sessions.map(({ envelope }) => envelope);
}

export async function read(host: RuleHost, input: Omit<InputOf<"sync.read">, "device">): Promise<string | null> {
  const found = await host.call("sync.read", { device: "d1", ...input });
  return found.ok ? found.value.envelope : null;
}

export async function status(host: RuleHost): Promise<OutputOf<"sync.status">> {
  return given(await host.call("sync.status", {}));
}
