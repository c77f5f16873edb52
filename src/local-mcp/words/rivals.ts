import { contentWords } from "./sentences.ts";

/** Pure: things of which a project has one, so that naming another takes the first back. */
const names = [
  "postgres postgresql mysql mariadb sqlite mongodb mongo dynamodb cassandra cockroachdb oracle mssql firestore couchdb duckdb",
  "redis memcached valkey dragonfly keydb hazelcast",
  "kafka rabbitmq nats sqs pulsar kinesis zeromq activemq",
  "npm pnpm yarn bun deno",
  "react vue svelte angular solid preact next nuxt astro remix sveltekit gatsby ember lit qwik",
  "express fastify koa hono nestjs flask django fastapi rails sinatra laravel symfony spring gin echo fiber actix axum",
  "tailwind bootstrap bulma sass scss less css-modules styled-components emotion",
  "jest vitest mocha ava jasmine pytest unittest cypress playwright selenium",
  "webpack vite rollup esbuild parcel turbopack rspack",
  "typescript javascript python go golang rust java kotlin ruby php swift scala elixir c# clojure",
  "aws gcp azure vercel netlify fly heroku render cloudflare hetzner digitalocean",
  "mit apache gpl lgpl bsd agpl mpl",
  "json yaml toml xml csv parquet protobuf avro msgpack",
  "rest graphql grpc trpc soap websocket websockets sse",
  "alpine debian ubuntu fedora centos distroless",
  "prisma drizzle typeorm sequelize knex sqlalchemy hibernate",
  "axios fetch got ky undici superagent",
  "eslint biome oxlint prettier black ruff",
  "tabs spaces",
  "english german french spanish italian portuguese dutch polish russian japanese chinese korean turkish deutsch englisch",
  "red green blue yellow orange purple pink black white grey gray brown",
  "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag",
  "docker podman kubernetes nomad swarm",
  "jwt sessions session cookies cookie oauth",
  "pdf html docx markdown epub",
];

let kinds: readonly (readonly string[])[] | null = null;

/** The words name different things of one kind, and neither the other's. */
export function areRivals(now: ReadonlySet<string>, then: ReadonlySet<string>): boolean {
  kinds ??= names.map((kind) => Array.from(contentWords(kind)));
  return kinds.some((kind) => {
    const named = kind.filter((one) => now.has(one));
    const before = named.length === 0 ? [] : kind.filter((one) => then.has(one));
    return before.length > 0 && !named.some((one) => before.includes(one));
  });
}
