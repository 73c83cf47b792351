"""What is asked of a training (Trial), what it gave (Record), and where that is kept (Store, Ledger)."""
