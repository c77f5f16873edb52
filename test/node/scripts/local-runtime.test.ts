import { join } from "node:path";
import { expect, it } from "vitest";
import { unstable_readConfig } from "wrangler";
import { declared } from "../../../scripts/local-runtime.ts";

/** What is read of wrangler's configuration; its own type cannot be resolved here. */
interface Config {
  readonly name: string;
  readonly compatibility_date: string;
  readonly migrations: readonly { readonly new_sqlite_classes?: readonly string[] }[];
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
  readonly queues: {
    readonly producers: readonly { readonly binding: string; readonly queue: string }[];
    readonly consumers: readonly Consumer[];
  };
  readonly ratelimits: readonly { readonly name: string; readonly namespace_id: string; readonly simple: object }[];
}

interface Consumer {
  readonly queue: string;
  readonly max_batch_size: number;
  readonly max_batch_timeout: number;
  readonly max_retries?: number;
  readonly dead_letter_queue?: string;
}

function consumer({ queue, ...one }: Consumer): [string, object] {
  return [
    queue,
    {
      maxBatchSize: one.max_batch_size,
      maxBatchTimeout: one.max_batch_timeout,
      maxRetries: one.max_retries,
      deadLetterQueue: one.dead_letter_queue,
    },
  ];
}

it("the coordinator on this machine has the bindings, the queues, the limits and the date of wrangler.toml", () => {
  const path = join(import.meta.dirname, "..", "..", "..", "wrangler.toml");
  const config = unstable_readConfig({ config: path }) as unknown as Config;
  const sqlite = new Set(config.migrations.flatMap(({ new_sqlite_classes: classes = [] }) => classes));
  const classes = config.durable_objects.bindings.map(({ name, class_name: className }) => {
    return [name, { className, useSQLite: sqlite.has(className) }];
  });
  expect(declared).toEqual({
    name: config.name,
    compatibilityDate: config.compatibility_date,
    durableObjects: Object.fromEntries(classes),
    queueProducers: Object.fromEntries(config.queues.producers.map(({ binding, queue }) => [binding, queue])),
    queueConsumers: Object.fromEntries(config.queues.consumers.map((one) => consumer(one))),
    ratelimits: Object.fromEntries(config.ratelimits.map(({ name, ...one }) => [name, one])),
  });
  const none = { compatibility_flags: [], kv_namespaces: [], d1_databases: [], r2_buckets: [], services: [], vars: {} };
  expect(config).toMatchObject(none);
});
