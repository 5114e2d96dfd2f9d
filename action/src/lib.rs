//! The GitHub Action of niks3.
