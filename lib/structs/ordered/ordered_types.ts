/** Which entries of an `OrderedMap`, and in which order. */
export interface OrderedMapRange<Key> {
  /** The least key that may be among them. Default: there is none. */
  readonly from?: Key | undefined;
  /** The least key that is too great. Default: there is none. */
  readonly to?: Key | undefined;
  /** Whether the greatest key comes first; `from` and `to` stay what they are. Default: false. */
  readonly reverse?: boolean | undefined;
  /** How many there are at most: 0 to 2^32 - 1. Default: no limit. */
  readonly limit?: number | undefined;
}
