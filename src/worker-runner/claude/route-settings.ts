import * as z from "zod";
import { Tier } from "../../contract/routes.ts";

/** The model for a task of this type; see docs/guide/model-routing.md. */
export const RouteSettings = z
  .strictObject({
    /** Cheapest first. */
    tiers: z.array(Tier).min(2).max(6),
    default: z.string(),
    /** No lower tier does a task of this type; default: the first. */
    floor: z.string().optional(),
    exploration: z.number().min(0.01).max(0.5).default(0.1),
    acceptable: z.number().min(0.5).max(1).default(0.9),
    minTried: z.int().min(5).max(1_000).default(10),
    strongAfter: z.int().min(10).max(2_000).default(100),
  })
  .refine(({ tiers }) => new Set(tiers.map(({ name }) => name)).size === tiers.length, {
    message: "each tier has a name of its own",
    path: ["tiers"],
  })
  .refine((route) => positionOf(route, route.default) !== -1, { message: "name one of the tiers", path: ["default"] })
  .refine((route) => route.floor === undefined || positionOf(route, route.floor) !== -1, {
    message: "name one of the tiers",
    path: ["floor"],
  })
  .refine((route) => route.floor === undefined || positionOf(route, route.floor) <= positionOf(route, route.default), {
    message: "the floor is not above the default",
    path: ["floor"],
  });
export type RouteSettings = z.infer<typeof RouteSettings>;

function positionOf({ tiers }: { readonly tiers: readonly Tier[] }, name: string): number {
  return tiers.findIndex((tier) => tier.name === name);
}
