/** Path segments of Alpaca's trading and market data APIs that are words, not ids; every other segment is replaced. */
const WORDS = new Set(
  (
    "account account_vitals accounts activities announcements assets auctions bars calendar calls clock conditions " +
    "config configurations contracts corporate-actions corporate_actions crypto crypto-perps do-not-exercise estimate " +
    "events exchanges exercise fees fixed_income forex history indices latest leverage locates logos meta mint " +
    "most-actives movers news options orderbooks orders orders:by_client_order_id perpetuals portfolio positions " +
    "prices pricing quotes rates requests screener snapshot snapshots stocks tokenization trades transfers treasuries " +
    "us us_corporates us_treasuries v1 v1beta1 v1beta2 v1beta3 v2 v2beta1 v3 values wallets watchlists " +
    "watchlists:by_name whitelists"
  ).split(" "),
);

const PLACEHOLDERS = new Map(
  Object.entries({
    activities: "{activity_type}",
    announcements: "{id}",
    assets: "{symbol_or_asset_id}",
    contracts: "{symbol_or_id}",
    crypto: "{loc}",
    "crypto-perps": "{loc}",
    logos: "{symbol}",
    options: "{symbol}",
    orders: "{order_id}",
    positions: "{symbol_or_asset_id}",
    snapshots: "{underlying_symbol}",
    stocks: "{symbol}",
    watchlists: "{watchlist_id}",
  }),
);

/** A path with its ids and symbols replaced, such as `/v2/orders/{order_id}`: bounded, and fit to be exported. */
export function urlTemplate(pathname: string): string {
  const segments = pathname.split("/").filter((segment) => segment !== "");
  return `/${segments
    .map((segment, at) => (WORDS.has(segment) ? segment : (PLACEHOLDERS.get(segments[at - 1] ?? "") ?? "{id}")))
    .join("/")}`;
}
