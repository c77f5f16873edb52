#!/usr/bin/env node
await import("../plugin/launch.mjs");
