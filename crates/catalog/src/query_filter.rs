//! The conditions of a listing: constant texts, with a `$` for each value.

use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow};

use super::{Backend, Result, in_clause};

/// A value that rows are compared with.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A condition with its values.
pub(super) type Condition = (&'static str, Vec<Value>);

/// A statement that grows by constant texts and their values.
#[derive(Debug)]
pub(super) struct SelectBuilder {
    text: String,
    values: Vec<Value>,
    first: bool,
}

impl SelectBuilder {
    pub(super) fn of(select: &str) -> Self {
        Self {
            text: select.to_owned(),
            values: Vec::new(),
            first: true,
        }
    }

    fn push(&mut self, text: &str, values: Vec<Value>) {
        let mut parts = text.split('$');
        self.text.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            self.values.push(value);
            self.text.push_str(&format!("${}{part}", self.values.len()));
        }
    }

    fn connect(&mut self) {
        self.text.push_str(if self.first { " WHERE " } else { " AND " });
        self.first = false;
    }

    /// Adds a condition.
    pub(super) fn and(&mut self, (text, values): Condition) {
        self.connect();
        self.push(text, values);
    }

    /// Adds that a column is among what a question with conditions gives.
    pub(super) fn and_among(&mut self, question: &'static str, filters: Vec<Condition>) {
        self.connect();
        self.text.push_str(question);
        for (index, (text, values)) in filters.into_iter().enumerate() {
            self.text.push_str(if index == 0 { " WHERE " } else { " AND " });
            self.push(text, values);
        }
        self.text.push(')');
    }

    /// Asks for so many rows in an order.
    pub(super) async fn page<T>(
        mut self,
        backend: Backend,
        pool: &AnyPool,
        order: &'static str,
        limit: i64,
    ) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        self.push(order, Vec::new());
        self.push(" LIMIT $", vec![Value::Number(limit)]);
        let mut query = in_clause::query_as(backend, self.text, true);
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        Ok(query.fetch_all(pool).await?)
    }
}
