import assert from "node:assert/strict";
import { test } from "node:test";
import { urlTemplate } from "../../src/alpaca/route.ts";
import { seededRandom, seededUuid } from "../../src/local/seeded-random.ts";

const ID = "61e69015-8549-4bfd-b9c3-01e75843f47d";

test("every path that scripts call has a template that names its ids", () => {
  const templates: Record<string, string> = {
    "/v2/account": "/v2/account",
    "/v2/account/activities": "/v2/account/activities",
    "/v2/account/activities/FILL": "/v2/account/activities/{activity_type}",
    "/v2/account/configurations": "/v2/account/configurations",
    "/v2/account/portfolio/history": "/v2/account/portfolio/history",
    "/v2/assets": "/v2/assets",
    "/v2/assets/AAPL": "/v2/assets/{symbol_or_asset_id}",
    "/v2/assets/BTC%2FUSD": "/v2/assets/{symbol_or_asset_id}",
    "/v2/calendar": "/v2/calendar",
    "/v2/clock": "/v2/clock",
    "/v3/clock": "/v3/clock",
    "/v2/corporate_actions/announcements": "/v2/corporate_actions/announcements",
    [`/v2/corporate_actions/announcements/${ID}`]: "/v2/corporate_actions/announcements/{id}",
    "/v2/options/contracts": "/v2/options/contracts",
    "/v2/options/contracts/AAPL240119C00100000": "/v2/options/contracts/{symbol_or_id}",
    "/v2/orders": "/v2/orders",
    "/v2/orders/": "/v2/orders",
    [`/v2/orders/${ID}`]: "/v2/orders/{order_id}",
    "/v2/orders:by_client_order_id": "/v2/orders:by_client_order_id",
    "/v2/positions": "/v2/positions",
    "/v2/positions/AAPL": "/v2/positions/{symbol_or_asset_id}",
    "/v2/positions/AAPL/exercise": "/v2/positions/{symbol_or_asset_id}/exercise",
    "/v2/wallets/transfers": "/v2/wallets/transfers",
    "/v2/watchlists": "/v2/watchlists",
    [`/v2/watchlists/${ID}`]: "/v2/watchlists/{watchlist_id}",
    [`/v2/watchlists/${ID}/AAPL`]: "/v2/watchlists/{watchlist_id}/{id}",
    "/v2/stocks/bars": "/v2/stocks/bars",
    "/v2/stocks/bars/latest": "/v2/stocks/bars/latest",
    "/v2/stocks/AAPL/bars": "/v2/stocks/{symbol}/bars",
    "/v2/stocks/AAPL/snapshot": "/v2/stocks/{symbol}/snapshot",
    "/v2/stocks/META/trades/latest": "/v2/stocks/{symbol}/trades/latest",
    "/v1beta1/logos/AAPL": "/v1beta1/logos/{symbol}",
    "/v1beta1/news": "/v1beta1/news",
    "/v1beta1/options/snapshots/AAPL": "/v1beta1/options/snapshots/{underlying_symbol}",
    "/v1beta1/screener/stocks/movers": "/v1beta1/screener/stocks/movers",
    "/v1beta1/fixed_income/latest/prices": "/v1beta1/fixed_income/latest/prices",
    "/v1beta3/crypto/us/latest/bars": "/v1beta3/crypto/us/latest/bars",
    "/v1beta3/crypto/eu-1/bars": "/v1beta3/crypto/{loc}/bars",
    "/v2beta1/events/activities": "/v2beta1/events/activities",
    "/": "/",
    "": "/",
  };
  for (const [path, template] of Object.entries(templates)) assert.equal(urlTemplate(path), template);
});

test("no id or symbol ever gets into a template, wherever it stands", () => {
  const random = seededRandom("templates");
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!;
  const words = [
    "v2",
    "orders",
    "positions",
    "assets",
    "stocks",
    "crypto",
    "watchlists",
    "account",
    "activities",
    "logos",
  ];
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const secrets = [
    () => seededUuid(random),
    () => seededUuid(random).replaceAll("-", ""),
    () => Array.from({ length: 1 + Math.floor(random() * 5) }, () => pick([...letters])).join(""),
    () => `${pick([...letters])}${pick([...letters])}C%2FUSD`,
    () => `20261124${Math.floor(random() * 1e9)}::${seededUuid(random)}`,
    () => `my-order-${Math.floor(random() * 1e6)}`,
    () => "%E2%9C%93",
  ];
  for (let round = 0; round < 5_000; round++) {
    const used: string[] = [];
    const segments = Array.from({ length: 1 + Math.floor(random() * 6) }, () => {
      if (random() < 0.5) return pick(words);
      const secret = pick(secrets)();
      used.push(secret);
      return secret;
    });
    const template = urlTemplate(`/${segments.join("/")}`);
    const shown = template.split("/").slice(1);
    assert.equal(shown.length, segments.length);
    for (const [at, segment] of shown.entries()) {
      assert.ok(/^\{[a-z_]+\}$/.test(segment) || (words.includes(segment) && segment === segments[at]), template);
      assert.ok(!used.includes(segment), template);
    }
  }
});

test("names that every object has are ids like any other", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    assert.equal(urlTemplate(`/${name}/x`), "/{id}/{id}");
  }
});
