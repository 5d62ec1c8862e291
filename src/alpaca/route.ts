/** Path segments of Alpaca's trading and market data APIs that are words, not ids; every other segment is replaced. */
const WORDS = new Set(
  (
    "account accounts activities announcements assets auctions bars calendar calls clock conditions config " +
    "configurations contracts corporate-actions corporate_actions crypto exchanges fixed_income forex history " +
    "indices latest logos meta most-actives movers news options orderbooks orders orders:by_client_order_id " +
    "perpetuals portfolio positions quotes rates screener snapshots stocks trades transfers treasuries us v1 v1beta1 " +
    "v1beta2 v1beta3 v2 v3 wallets watchlists watchlists:by_name whitelists"
  ).split(" "),
);

const PLACEHOLDERS: Record<string, string> = {
  activities: "{activity_type}",
  announcements: "{id}",
  assets: "{symbol_or_asset_id}",
  contracts: "{symbol_or_id}",
  crypto: "{loc}",
  logos: "{symbol}",
  options: "{symbol}",
  orders: "{order_id}",
  positions: "{symbol_or_asset_id}",
  snapshots: "{underlying_symbol}",
  stocks: "{symbol}",
  watchlists: "{watchlist_id}",
};

/** A path with its ids and symbols replaced, such as `/v2/orders/{order_id}`: bounded, and fit to be exported. */
export function urlTemplate(pathname: string): string {
  const segments = pathname.split("/").filter((segment) => segment !== "");
  return `/${segments
    .map((segment, at) => (WORDS.has(segment) ? segment : (PLACEHOLDERS[segments[at - 1] ?? ""] ?? "{id}")))
    .join("/")}`;
}
